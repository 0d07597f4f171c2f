const halfWord = new Uint32Array(1)
const halfNumber = new Float32Array(halfWord.buffer)

/** The number of the bits of a finite f16. */
export function halfValue(half: number): number {
  halfWord[0] = (half & 0x7fff) << 13
  const size = halfNumber[0] * 2 ** 112
  return half & 0x8000 ? -size : size
}
