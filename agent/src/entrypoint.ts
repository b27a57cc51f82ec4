import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PbmError, systemClock } from '@pbmkit/core'

const AGENT = fileURLToPath(new URL('./bin.js', import.meta.url))
const PASSED_ON = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** How the agent is started again (PBM: cli-and-config.md §2). */
export interface Sidecar {
  /** `PBM_AGENT_SIDECAR`: start it again whenever it ends. */
  readonly again: boolean
  /** `PBM_AGENT_SIDECAR_SLEEP` (milliseconds); 1 s when it is not set. */
  readonly pauseMs: number
}

/** Throws SETTINGS_INVALID. */
export function sidecarOf(env: NodeJS.ProcessEnv): Sidecar {
  const { PBM_AGENT_SIDECAR: again = '', PBM_AGENT_SIDECAR_SLEEP: pause = '' } = env
  if (!/^(1|t|true|0|f|false|)$/i.test(again)) throw invalid('PBM_AGENT_SIDECAR', again, 'true or false')
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(pause) ?? []
  if (pause !== '' && number === undefined) throw invalid('PBM_AGENT_SIDECAR_SLEEP', pause, 'seconds, such as 5 or 5s')
  const millis = { ms: 1, s: 1_000, m: 60_000 }[unit] ?? 1_000
  return { again: /^(1|t|true)$/i.test(again), pauseMs: number === undefined ? 1_000 : Number(number) * millis }
}

function invalid(name: string, value: string, expected: string): PbmError {
  return new PbmError('SETTINGS_INVALID', `${name}: ${JSON.stringify(value)} is not right`, { hint: `Use ${expected}` })
}

export interface EntrypointOptions {
  /** Those of `pbm-agent`, whose name may stand before them. */
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly start?: (args: readonly string[], env: NodeJS.ProcessEnv) => ChildProcess
  readonly note?: (text: string) => void
}

/**
 * `pbm-agent-entrypoint`: runs the agent and passes signals on; as a sidecar, starts it again until it is told to end.
 * Resolves with the exit code.
 */
export async function runEntrypoint({
  args,
  env,
  start = startAgent,
  note = tell,
}: EntrypointOptions): Promise<number> {
  const { again, pauseMs } = sidecarOf(env)
  const own = args[0] !== undefined && basename(args[0]) === 'pbm-agent' ? args.slice(1) : args
  const stopping = new AbortController()
  let child: ChildProcess | undefined
  const pass = (signal: NodeJS.Signals) => {
    if (signal !== 'SIGHUP') stopping.abort()
    child?.kill(signal)
  }
  for (const signal of PASSED_ON) process.on(signal, pass)
  try {
    for (;;) {
      child = start(own, env)
      const code = await exitCodeOf(child)
      child = undefined
      if (!again || stopping.signal.aborted) return code
      note(`pbm-agent ended with ${code}; it is started again in ${pauseMs / 1000} s`)
      await systemClock.sleep(pauseMs, stopping.signal).catch(() => undefined)
      if (stopping.signal.aborted) return code
    }
  } finally {
    for (const signal of PASSED_ON) process.off(signal, pass)
  }
}

function startAgent(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, AGENT, ...args], { env, stdio: 'inherit' })
}

/** As shells have it where a signal ended it. */
async function exitCodeOf(child: ChildProcess): Promise<number> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}
