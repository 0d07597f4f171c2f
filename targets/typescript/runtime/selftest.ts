export const selftest = (): void => {}
