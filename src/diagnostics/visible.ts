/**
 * Text that may be hostile, made safe to print: control characters become their pictures (U+2400 …), direction overrides and other
 * invisible format characters `<U+202E>`, lone surrogates `<U+D800>`.
 */
export function visible(text: string): string {
  let out = ''
  for (const char of text) out += visibleChar(char)
  return out
}

/** Line ends and tabs of messages are kept; the rest is as in `visible`. */
export const visibleMessage = (text: string): string => text.replace(/[^\n]+/g, visible)

export function visibleChar(char: string): string {
  const code = char.codePointAt(0) ?? 0
  if (code < 0x20) return String.fromCodePoint(0x2400 + code)
  if (code === 0x7f) return '\u2421'
  if (code < 0x7f) return char
  const hidden =
    code <= 0x9f ||
    code === 0xad ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2060 && code <= 0x206f) ||
    code === 0xfeff ||
    (code >= 0xd800 && code <= 0xdfff) ||
    (code >= 0xe0000 && code <= 0xe007f)
  return hidden ? `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>` : char
}

/** Columns that a character takes in a terminal: 0 for combining marks, 2 for East Asian wide characters and emoji. */
function columnsOf(char: string): number {
  const code = char.codePointAt(0) ?? 0
  if (code < 0x300) return 1
  if (/\p{Mn}|\p{Me}/u.test(char)) return 0
  const wide =
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  return wide ? 2 : 1
}

export function widthOf(text: string): number {
  let width = 0
  for (const char of text) width += columnsOf(char)
  return width
}
