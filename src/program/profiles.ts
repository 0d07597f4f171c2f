/** Device profiles: the limits that a model is proved against before it runs, and compiled for. */

/**
 * WebGPU's names of the limits that matter here, with the values that every device has at least (WebGPU 3.6.2, "limits"). Sizes are in bytes.
 */
export const defaultLimits = {
  maxBufferSize: 256 * 2 ** 20,
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxUniformBufferBindingSize: 64 * 2 ** 10,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16 * 2 ** 10,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupsPerDimension: 65535,
} as const
export type LimitName = keyof typeof defaultLimits
export type DeviceLimits = Readonly<Record<LimitName, number>>

export interface DeviceProfile {
  readonly name: string
  /** What it stands for, for people. */
  readonly about: string
  readonly limits: DeviceLimits
  /** Bytes of GPU memory that a model may take in all, where it is known. */
  readonly memory?: number
}

const profile = (name: string, about: string, limits: Partial<DeviceLimits> = {}, memory?: number): DeviceProfile => ({
  name,
  about,
  limits: { ...defaultLimits, ...limits },
  ...(memory === undefined ? {} : { memory }),
})

/** What a module is compiled for where nothing is said: every device with WebGPU runs it. */
export const webgpuProfile = profile('webgpu', 'what every device with WebGPU has, whatever its memory')

export const deviceProfiles: Readonly<Record<string, DeviceProfile>> = {
  webgpu: webgpuProfile,
  phone: profile(
    'phone',
    'a phone that gives a page 128 MiB, with the limits that every device has',
    {},
    128 * 2 ** 20,
  ),
  // What Chromium gives a graphics card with memory of its own.
  desktop: profile(
    'desktop',
    'a desktop with a graphics card of 8 GiB',
    {
      maxBufferSize: 4 * 2 ** 30,
      maxStorageBufferBindingSize: 2 ** 31 - 4,
      maxStorageBuffersPerShaderStage: 10,
      maxComputeWorkgroupStorageSize: 32 * 2 ** 10,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupSizeX: 1024,
      maxComputeWorkgroupSizeY: 1024,
    },
    8 * 2 ** 30,
  ),
}

/**
 * A profile from JSON: `{ "name": "tablet", "memory": 536870912, "limits": { "maxBufferSize": 268435456 } }`. Limits that are not named are
 * WebGPU's defaults. What is wrong with it, as text, where it is none.
 */
export function parseProfile(text: string): DeviceProfile | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return 'it is not JSON'
  }
  if (!isRecord(json)) return 'it is not a JSON object'
  const { name, about, memory, limits = {}, ...others } = json
  const [other] = Object.keys(others)
  if (other !== undefined) return `it has ${quoted(other)}; a profile has name, about, memory and limits`
  if (typeof name !== 'string' || !/^[\w][\w .()-]{0,39}$/.test(name))
    return '`name` is to be text of 1 to 40 letters, digits, blanks, dots and dashes'
  if (about !== undefined && (typeof about !== 'string' || about.length > 200 || /\p{C}/u.test(about)))
    return '`about` is to be text of at most 200 characters'
  if (memory !== undefined && !isSize(memory)) return `\`memory\` is to be a number of bytes, not ${quoted(memory)}`
  if (!isRecord(limits)) return '`limits` is to be an object of numbers'
  const found: Partial<Record<LimitName, number>> = {}
  for (const [limit, value] of Object.entries(limits)) {
    if (!Object.hasOwn(defaultLimits, limit))
      return `${quoted(limit)} is no limit that matters here; these do: ${Object.keys(defaultLimits).join(', ')}`
    if (!isSize(value)) return `${limit} is to be a whole number above 0, not ${quoted(value)}`
    found[limit as LimitName] = value
  }
  // A part of a weight has 256 bytes at least.
  for (const limit of ['maxBufferSize', 'maxStorageBufferBindingSize'] as const)
    if ((found[limit] ?? 256) < 256) return `${limit} is to be 256 at least`
  return profile(name, about ?? 'of a file', found, memory)
}

const isRecord = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null && !Array.isArray(x)
const isSize = (x: unknown): x is number => typeof x === 'number' && Number.isSafeInteger(x) && x > 0
const quoted = (x: unknown): string => `\`${(JSON.stringify(x) ?? 'nothing').slice(0, 60).replace(/\p{C}/gu, ' ')}\``
