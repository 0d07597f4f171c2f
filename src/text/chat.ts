/** A conversation as the text that a model was trained on, through the Jinja template that came with it. */
import { Template } from '@huggingface/jinja'
import { fail, say } from '../diagnostics/index.ts'

export interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

/**
 * The conversation up to where the assistant's answer begins. Templates put in their special tokens themselves: encode the text with
 * `special: false`. `specials` are the `bos_token`, `eos_token` … of the tokenizer.
 * @throws DiagnosticError (TFM1914) where the template is not one, or refuses the messages.
 */
export function renderChat(
  template: string,
  messages: readonly Message[],
  specials: Readonly<Record<string, string>>,
): string {
  try {
    return new Template(template).render({ ...specials, messages: [...messages], add_generation_prompt: true })
  } catch (thrown) {
    return fail(
      say.badChat(undefined, `the chat template failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`),
    )
  }
}
