import { writeSync } from 'node:fs'
import { PbmError } from '../errors.js'
import { inTime } from '../time/deadline.js'
import { endsItself } from './end-process.js'

/** Loading the largest of the vendors' libraries takes a second or two. */
const LIMIT_MS = 30_000

/** What people call what is being loaded just now, also where nobody waits for it any more; two may be called the same. */
const loading = new Map<symbol, string>()

export interface ImportOptions {
  /** What to call it in messages. */
  readonly label: string
  readonly hint: string
  /** Default: 30 s. */
  readonly limitMs?: number
}

/**
 * `import()` of a package that somebody else wrote. Rejects with PLUGIN_LOAD when it throws, and when it does not end: it can't
 * be stopped then, but whoever waits can be told. One that ends the whole process is at least named on standard error, and
 * the exit code is a failure's whatever the package thinks. Our own programs end by `endProcess`.
 */
export async function importPackage<T>(entry: string, options: ImportOptions): Promise<T> {
  const { label, hint, limitMs = LIMIT_MS } = options
  const fault = (what: string, more: { cause?: unknown } = {}) =>
    new PbmError('PLUGIN_LOAD', `${label} ${what}`, { hint, ...more })
  if (loading.size === 0) process.on('exit', nameCulprits).on('beforeExit', forget)
  const token = Symbol(label)
  loading.set(token, label)
  const work = import(entry)
    .then(
      (module: T) => module,
      (cause: unknown) => {
        throw fault('throws while it is loaded', { cause })
      },
    )
    .finally(() => {
      loading.delete(token)
      if (loading.size === 0) forget()
    })
  return inTime(work, limitMs, () => fault(`is still not loaded after ${limitMs / 1000} s`))
}

/** Nobody ends a process that has nothing left to do. */
function forget(): void {
  loading.clear()
  process.off('exit', nameCulprits).off('beforeExit', forget)
}

function nameCulprits(code: number): void {
  if (endsItself()) return
  if (code === 0) process.exitCode = 1
  writeSync(2, `the process was ended while this was loaded: ${[...new Set(loading.values())].join('; ')}\n`)
}
