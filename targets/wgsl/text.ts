/** Safe names and comments in WGSL: every name that a model chose becomes an identifier that WGSL allows and nothing else uses. */

/** Keywords, reserved words (WGSL 16.1, 16.2) and predeclared names that emitted code uses or would hide. */
const reserved = new Set(
  (
    'alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop override requires return struct switch true var while ' +
    'NULL Self abstract active alignas alignof as asm asm_fragment async attribute auto await become binding_array cast catch class co_await co_return co_yield coherent column_major ' +
    'common compile compile_fragment concept const_cast consteval constexpr constinit crate debugger decltype delete demote demote_to_helper do dynamic_cast enum explicit export extends ' +
    'extern external fallthrough filter final finally friend from fxgroup get goto groupshared highp impl implements import inline instanceof interface layout lowp macro macro_rules ' +
    'match mediump meta mod module move mut mutable namespace new nil noexcept noinline nointerpolation non_coherent noncoherent noperspective null nullptr of operator package packoffset ' +
    'partition pass patch pixelfragment precise precision premerge priv protected pub public readonly ref regardless register reinterpret_cast require resource restrict self set shared ' +
    'sizeof smooth snorm static static_assert static_cast std subroutine super target template this thread_local throw trait try type typedef typeid typename typeof union unless unorm ' +
    'unsafe unsized use using varying virtual volatile wgsl where with writeonly yield ' +
    'f32 f16 i32 u32 bool vec2 vec3 vec4 vec3u vec2u vec4u vec4i vec4f vec2i vec2f unpack2x16float array atomic ptr mat4x4 sampler texture_2d function private workgroup uniform storage read write read_write ' +
    'abs sign floor ceil round sqrt min max clamp select exp log pow sin cos tan tanh sinh cosh asin acos atan atan2 bitcast fma ldexp frexp dot cross length mix step sinh trunc fract ' +
    'workgroupBarrier storageBarrier all any arrayLength countOneBits degrees radians determinant distance exp2 log2 inverseSqrt normalize reflect refract saturate smoothstep transpose ' +
    'at thread dims Dims Place'
  ).split(' '),
)

/** A scope of names. Names given inside a child may be given again by its siblings. */
export interface Names {
  readonly name: (wish: string) => string
  readonly child: () => Names
}
export function names(outer: (name: string) => boolean = (n) => reserved.has(n)): Names {
  const used = new Set<string>()
  const isTaken = (name: string): boolean => used.has(name) || outer(name)
  return {
    name: (wish) => {
      const base = identifier(wish)
      let made = base
      for (let i = 2; isTaken(made); i++) made = `${base}${/\d$/.test(base) ? '_' : ''}${i}`
      used.add(made)
      return made
    },
    child: () => names(isTaken),
  }
}

/** Letters, digits and single underscores inside: WGSL reserves names that start with two. */
function identifier(wish: string): string {
  const cleaned = wish
    .slice(0, 48)
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
  if (cleaned === '') return 'v'
  return /^\d/.test(cleaned) ? `v${cleaned}` : cleaned
}

/** A line comment: no line break of any kind (WGSL 3.2 has seven), no characters that change the direction of text. */
export function comment(text: string): string {
  return `// ${text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g, ' ').trim()}`
}

export const indent = (lines: readonly string[]): string[] => lines.map((l) => (l === '' ? l : `  ${l}`))

/** Statements side by side, on as few lines as fit into the width. */
export function fill(statements: readonly string[], width = 108): string[] {
  const lines: string[] = []
  for (const s of statements) {
    const last = lines.length - 1
    if (last >= 0 && lines[last].length + s.length + 1 <= width) lines[last] += ` ${s}`
    else lines.push(s)
  }
  return lines
}
