/** Device profiles as the command line names them. */
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fail, say } from '../diagnostics/index.ts'
import { deviceProfiles, parseProfile, type DeviceProfile } from '../program/profiles.ts'
import type { Context } from './context.ts'
import { systemError } from './errors.ts'

export interface ProfileOptions {
  readonly deviceProfile?: string
}

/** More bytes than any profile has. */
const mostBytes = 65536

/** A built-in profile by its name, or one of a JSON file; undefined where none is named. Throws TFM2213. */
export async function profileOf(
  { io }: Pick<Context, 'io'>,
  { deviceProfile: named }: ProfileOptions,
): Promise<DeviceProfile | undefined> {
  if (named === undefined) return undefined
  if (Object.hasOwn(deviceProfiles, named)) return deviceProfiles[named]
  const known = Object.keys(deviceProfiles)
  const refuse = (why: string): never => fail(say.badProfile(undefined, named, why, known))
  const path = resolve(io.cwd, named)
  try {
    const { size } = await stat(path)
    if (size > mostBytes) return refuse(`it has ${size} bytes`)
    const found = parseProfile(await readFile(path, 'utf8'))
    return typeof found === 'string' ? refuse(found) : found
  } catch (thrown) {
    if (!(thrown instanceof Error) || !('code' in thrown) || !('syscall' in thrown)) throw thrown
    return refuse(systemError(thrown.code) ?? thrown.message)
  }
}
