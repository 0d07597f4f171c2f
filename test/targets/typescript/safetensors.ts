/** A safetensors file in memory. */
export function safetensors(
  tensors: readonly { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array }[],
): Uint8Array {
  const header: Record<string, object> = {}
  let end = 0
  for (const { name, shape, data } of tensors)
    header[name] = { dtype: 'F32', shape, data_offsets: [end, (end += data.byteLength)] }
  const json = new TextEncoder().encode(JSON.stringify(header))
  const bytes = new Uint8Array(8 + json.length + end)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
  bytes.set(json, 8)
  let at = 8 + json.length
  for (const { data } of tensors) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at)
    at += data.byteLength
  }
  return bytes
}
