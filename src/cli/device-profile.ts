/** Device profiles as the command line names them. */
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fail, say } from '../diagnostics/index.ts'
import { deviceProfiles, parseProfile, type DeviceProfile } from '../program/profiles.ts'
import type { Module } from '../program/types.ts'
import type { Target } from '../target.ts'
import type { Context } from './context.ts'
import { systemError } from './errors.ts'

export interface ProfileOptions {
  readonly deviceProfile?: string | undefined
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

/** The profile that a target is to compile for, where it knows devices: one that the model fits. Throws TFM2107 where it does not. */
export async function fittingProfile(
  ctx: Pick<Context, 'io'>,
  target: Target,
  module: Module,
  options: ProfileOptions,
): Promise<DeviceProfile | undefined> {
  const profile = await profileOf(ctx, options)
  if (profile === undefined || target.needs === undefined) return undefined
  const { misfit } = await import('./limits.ts')
  const { prove } = await import('../explain/limits.ts')
  const found = misfit(module.name, prove(await target.needs(module, profile), profile))
  return found === undefined ? profile : fail(found)
}
