import { agentsWell, type ChaosCluster, until } from './cluster.js'

/** Nobody waits longer without a word. */
const SILENT_SECONDS = 60
const LONGEST_SECONDS = 300

/** Where a run tells what it finds, and what it does. */
export interface Report {
  readonly tell: (finding: string) => void
  readonly note: (text: string) => void
}

export interface Ended {
  readonly status: string
  readonly error?: string | undefined
}

/** Waits for the end of an operation. Silence is a finding, and no end another. */
export async function ended<T extends Ended>(
  cluster: ChaosCluster,
  what: string,
  { tell, note }: Report,
  find: () => Promise<T | undefined>,
): Promise<T | undefined> {
  let found: T | undefined
  let heard = ''
  let since = Date.now()
  let isTold = false
  const look = async () => {
    // No primary for a moment.
    found = (await find().catch(() => undefined)) ?? found
    const words = `${found?.status} ${cluster.words().length}`
    if (words !== heard) {
      heard = words
      since = Date.now()
    }
    if (Date.now() - since > SILENT_SECONDS * 1000 && !isTold) {
      isTold = true
      // Who waits for it is told: see below.
      if (found === undefined && /agent|killed/.test(what)) note(`  nobody took it up`)
      else if (found === undefined) tell(`${what}: nobody took it up in ${SILENT_SECONDS} s`)
      else tell(`${what}: no word for ${SILENT_SECONDS} s in state ${found.status}`)
    }
    // Agents that start more than ten seconds after a command pass over it, and `pbm backup` says so to who waits.
    if (isTold && found === undefined) return true
    return ['done', 'error', 'canceled'].includes(found?.status ?? '')
  }
  try {
    await until(`the end of ${what}`, look, LONGEST_SECONDS)
    return found
  } catch (error) {
    tell(`${error}; it is ${found?.status}`)
    return undefined
  }
}

/** All that trouble stopped runs again, and is well. */
export async function healed(cluster: ChaosCluster): Promise<void> {
  for (const agent of cluster.agents) if (!agent.running) agent.start()
  await Promise.all(cluster.sets.map((set) => set.ready()))
  await agentsWell(cluster)
}
