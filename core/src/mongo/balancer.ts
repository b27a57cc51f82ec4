import type { MongoClient } from 'mongodb'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { Clock } from '../time/clock.js'
import { until } from '../time/until.js'

/** `full`: it moves chunks. */
export type BalancerMode = 'full' | 'off' | 'autoSplitOnly'

export interface BalancerStatus {
  readonly mode: BalancerMode
  /** It is at work at this moment. */
  readonly inRound: boolean
}

export interface StopBalancerOptions {
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly log: OperationLog
  /** How long the server may take to end what is under way; 0 or left out for a minute. */
  readonly timeoutSeconds?: number | undefined
}

const DEFAULT_TIMEOUT_SECONDS = 60
const TIME_LIMIT_EXCEEDED = 50
/** PBM waits so long for the last round, and then only warns (PBM: control-plane.md §5.1, step 5). */
const ROUND_MS = 30_000
const POLL_MS = 200

/** Of the config servers; `leader` is the connection to their primary. */
export async function balancerStatus(leader: MongoClient): Promise<BalancerStatus> {
  const { mode, inBalancerRound } = await leader.db('admin').command({ _configsvrBalancerStatus: 1 })
  return { mode: mode as BalancerMode, inRound: inBalancerRound === true }
}

/** Whether it may move chunks, as anybody may know who may read `config`: no server command. */
export async function isBalancerOn(leader: MongoClient): Promise<boolean> {
  const settings = leader.db('config').collection<{ _id: string; mode?: unknown; stopped?: unknown }>('settings')
  const found = await settings.findOne({ _id: 'balancer' })
  return (found?.mode ?? 'full') === 'full' && found?.stopped !== true
}

/** Stops the balancer and waits for the round under way; what does not end in time is only warned of, as in PBM. */
export async function stopBalancer(leader: MongoClient, options: StopBalancerOptions): Promise<void> {
  const { signal, clock, log, timeoutSeconds } = options
  const maxTimeMS = (timeoutSeconds || DEFAULT_TIMEOUT_SECONDS) * 1000
  try {
    await leader.db('admin').command({ _configsvrBalancerStop: 1, maxTimeMS })
  } catch (error) {
    // It is off by then; only its round goes on.
    if ((error as { code?: unknown }).code !== TIME_LIMIT_EXCEEDED) throw error
    log.warning(`the balancer is still at work: ${errorText(error)}`)
  }
  let mode: BalancerMode = 'full'
  const isOff = async () => {
    const status = await balancerStatus(leader)
    mode = status.mode
    return mode !== 'full' && !status.inRound
  }
  if (await until(isOff, { clock, signal, everyMs: POLL_MS, timeoutMs: ROUND_MS })) return
  log.warning(`the balancer is still at work: its mode is ${mode}`)
}

export async function startBalancer(leader: MongoClient): Promise<void> {
  await leader.db('admin').command({ _configsvrBalancerStart: 1 })
}
