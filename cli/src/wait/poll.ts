import { type Clock, PbmError, until } from '@pbmkit/core'

/** How often a waiting command looks; well under what a person notices, and one small indexed read each. */
const INTERVAL_MS = 200
/** How long the cluster may be without a primary before a wait gives up: three default elections. */
const OUTAGE_MS = 36_000

export interface PollOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Milliseconds since the epoch at which to stop with what `onDeadline` makes; none where absent. */
  readonly deadline?: number | undefined
  readonly onDeadline?: () => Error
  /** What to throw when the user presses Ctrl-C. */
  readonly onInterrupt: () => Error
}

/**
 * Calls `probe` until it answers something other than undefined. An election or a restart of the primary in the middle
 * is waited out; any other error ends the wait.
 */
export async function poll<Result>(probe: () => Promise<Result | undefined>, options: PollOptions): Promise<Result> {
  const { clock, signal, deadline } = options
  let outageSince: number | undefined
  const look = async () => {
    signal.throwIfAborted()
    try {
      const result = await probe()
      if (result !== undefined) return result
      outageSince = undefined
    } catch (error) {
      if (!isOutage(error)) throw error
      outageSince ??= clock.now()
      if (clock.now() - outageSince > OUTAGE_MS)
        throw new PbmError('UNREACHABLE', 'lost the connection to the replica set while waiting', {
          hint: 'The operation itself may go on: look with pbm status once a primary is back.',
          cause: error,
        })
    }
    if (deadline !== undefined && clock.now() >= deadline)
      throw options.onDeadline?.() ?? new PbmError('WAIT_TIME', 'the wait time is over')
    return undefined
  }
  try {
    return await until(look, { clock, signal, everyMs: INTERVAL_MS })
  } catch (error) {
    throw signal.aborted ? options.onInterrupt() : error
  }
}

/** No primary just now, or a connection that broke: what an election looks like from outside. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (
    /^Mongo(Network|NetworkTimeout|ServerSelection|PoolCleared|PoolCleared(OnNetwork)?|NotConnected)Error$/.test(
      error.name,
    )
  )
    return true
  // NotWritablePrimary, PrimarySteppedDown, InterruptedAtShutdown, InterruptedDueToReplStateChange, ShutdownInProgress …
  const code = (error as { code?: unknown }).code
  return typeof code === 'number' && [91, 189, 10107, 11600, 11602, 13435, 13436].includes(code)
}
