import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { Clock } from '../time/clock.js'

/** The driver itself waits for the next primary; what is met is its loss, and the first answers of the next one. */
const ATTEMPTS = 3
const PAUSE_MS = 1_000

/**
 * Repeats work that only reads, and whose server may be replaced meanwhile: an election must not fail a backup. `what` is
 * for the log. Rejects with the last failure, and at once with one that is ours or with the signal's reason.
 */
export async function throughElections<T>(
  what: string,
  work: () => Promise<T>,
  { clock, signal, log }: { readonly clock: Clock; readonly signal: AbortSignal; readonly log: OperationLog },
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      const isOurs = error instanceof PbmError && error.code !== 'CURSOR_LOST'
      if (isOurs || attempt >= ATTEMPTS) throw error
      log.warning(`${what} is read again: ${errorText(error)}`)
      await clock.sleep(PAUSE_MS, signal)
    }
  }
}
