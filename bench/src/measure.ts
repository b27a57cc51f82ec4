import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'

/** What a piece of work cost, over all processes that were watched. */
export interface Cost {
  /** Seconds from start to end. */
  readonly wall: number
  /** Seconds of CPU, user and system. */
  readonly cpu: number
  /** Peak resident memory in MB of the largest watched process. */
  readonly rss: number
}

const SAMPLE_MS = 50
/** Linux counts CPU in hundredths of a second, whatever the kernel's own tick. */
const TICKS_PER_SECOND = 100

export interface RunOptions {
  /** Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv
  /** An open file; nothing otherwise. */
  readonly stdin?: number
}

/** Runs a command to its end and gives its cost. Rejects with the end of its stderr when it fails. */
export async function runMeasured(command: string, args: readonly string[], options: RunOptions = {}): Promise<Cost> {
  const { env = process.env, stdin = 'ignore' } = options
  const child = spawn(command, args, { env, stdio: [stdin, 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-2000)
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
  return await measure([child.pid ?? 0], async () => {
    const code = await ended
    if (code !== 0) throw new Error(`${command} ended with ${code}: ${stderr.trim()}`)
  })
}

/**
 * The cost of what a script does between being told to begin and telling that it has done. It tells first that it is
 * ready, with what a running agent has long done behind it; `before` is its resident memory in MB then.
 */
export async function measureScript(script: string, args: readonly string[]): Promise<{ cost: Cost; before: number }> {
  const child = fork(script, args)
  const pid = child.pid ?? 0
  const exited = once(child, 'exit')
  const failed = exited.then(([code]) => Promise.reject(new Error(`${script} ended with ${code}`)))
  failed.catch(() => undefined)
  const told = async () => void (await Promise.race([once(child, 'message'), failed]))
  await told()
  const before = residentOf(pid)
  const cost = await measure([pid], async () => {
    child.send('begin')
    await told()
  })
  child.send('end')
  await exited
  return { cost, before }
}

/** The better of two rounds: what else the machine did meanwhile only ever makes them slower. */
export function faster(one: Cost | undefined, other: Cost): Cost {
  return one === undefined || other.wall < one.wall ? other : one
}

/** The cost of `work` in the processes `pids` and their children: what they used between its start and its end. */
export async function measure(pids: readonly number[], work: () => Promise<unknown>): Promise<Cost> {
  const before = new Map(trees(pids).map((pid) => [pid, cpuOf(pid)]))
  const latest = new Map<number, number>()
  let rss = 0
  const sample = () => {
    for (const pid of trees(pids)) {
      const cpu = cpuOf(pid)
      if (cpu !== undefined) latest.set(pid, cpu - (before.get(pid) ?? 0))
      rss = Math.max(rss, peakOf(pid))
    }
  }
  for (const pid of trees(pids)) resetPeak(pid)
  const timer = setInterval(sample, SAMPLE_MS)
  const start = performance.now()
  try {
    await work()
  } finally {
    clearInterval(timer)
    sample()
  }
  const cpu = [...latest.values()].reduce((sum, value) => sum + value, 0)
  return { wall: (performance.now() - start) / 1000, cpu, rss }
}

function trees(roots: readonly number[]): number[] {
  const found = [...roots]
  for (let index = 0; index < found.length; index++) found.push(...childrenOf(found[index] ?? 0))
  return found
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    )
  } catch {
    return []
  }
}

function cpuOf(pid: number): number | undefined {
  try {
    // The name, in parentheses, may hold spaces; utime and stime are the 12th and 13th fields after it.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  } catch {
    return undefined
  }
}

function peakOf(pid: number): number {
  return memoryOf(pid, 'VmHWM')
}

/** Memory of a process in MB; 0 when it has ended. */
export function residentOf(pid: number): number {
  return memoryOf(pid, 'VmRSS')
}

function memoryOf(pid: number, line: 'VmHWM' | 'VmRSS'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(new RegExp(`${line}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

/** Peaks of earlier work must not count; where it is not allowed, they do. */
function resetPeak(pid: number): void {
  try {
    const file = openSync(`/proc/${pid}/clear_refs`, 'w')
    writeSync(file, '5')
    closeSync(file)
  } catch {
    // The process has ended, or belongs to somebody else.
  }
}
