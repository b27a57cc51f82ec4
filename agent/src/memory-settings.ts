import { accessSync, constants } from 'node:fs'

/**
 * What an agent needs so that it gives memory back: glibc would keep the large buffers of codecs, scattered over pools of
 * several threads, and V8 would hold three times as many young objects. Both are read only when a process starts.
 */
const MALLOC = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' }
const SEMI_SPACE = '--max-semi-space-size'
const SEMI_SPACE_MIB = 8

/** How a process has to be started anew to have the settings; undefined where it has them. Whatever was set stays. */
export function missingMemorySettings(
  env: NodeJS.ProcessEnv,
  flags: readonly string[],
): { env: NodeJS.ProcessEnv; flags: string[] } | undefined {
  const missing = Object.entries(MALLOC).filter(([name]) => env[name] === undefined)
  const given = [...flags, ...(env.NODE_OPTIONS ?? '').split(' ')].map((flag) => flag.replaceAll('_', '-'))
  const flagged = given.some((flag) => flag.startsWith(SEMI_SPACE))
  if (missing.length === 0 && flagged) return undefined
  return {
    env: { ...env, ...Object.fromEntries(missing) },
    flags: flagged ? [...flags] : [...flags, `${SEMI_SPACE}=${SEMI_SPACE_MIB}`],
  }
}

/** Goes on as the same process, with its program started anew, where a setting is missing. Nothing may be open yet. */
export function takeMemorySettings(): void {
  // Not on Windows; what is missing there costs memory and nothing else.
  if (typeof process.execve !== 'function' || process.platform === 'win32') return
  const settings = missingMemorySettings(process.env, process.execArgv)
  // An execve that fails ends the process: its program may be gone after an upgrade.
  if (settings === undefined || !isExecutable(process.execPath)) return
  const env = Object.fromEntries(Object.entries(settings.env).filter(([, value]) => value !== undefined))
  process.execve(process.execPath, [process.execPath, ...settings.flags, ...process.argv.slice(1)], env)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
