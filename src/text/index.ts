export * from './chat.ts'
export * from './config.ts'
export * from './tokenizer.ts'
