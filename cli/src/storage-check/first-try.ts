import { randomBytes } from 'node:crypto'
import { bodyOf, inTime, type ObjectStore, PbmError } from '@pbmkit/core'

/** Longer than the 30 s for which a call that fails is tried again. */
const PATIENCE_MS = 60_000
const SWEEP_MS = 10_000

/** Gives what `work` gives, or fails with NO_ANSWER where the storage swallows what is sent to it. */
export async function answered<T>(work: Promise<T>, place: string, millis = PATIENCE_MS): Promise<T> {
  return await inTime(work, millis, () => {
    const hint = 'Is its server or mount well, and does no firewall or proxy swallow what is sent to it?'
    return new PbmError('NO_ANSWER', `${place} has not answered within ${millis / 1000} s`, { hint })
  })
}

/**
 * Writes one object, reads, lists and deletes it. What fails here would fail hundreds of cases, none of which could say it
 * as well. Rejects with what the storage says, and DATA_DIFFERS.
 */
export async function firstTry(store: ObjectStore, place: string, signal: AbortSignal): Promise<void> {
  const written = randomBytes(1024)
  await store.save('first', bodyOf(written), { signal })
  const chunks: Uint8Array[] = []
  for await (const chunk of await store.read('first', { signal })) chunks.push(chunk)
  if (!Buffer.concat(chunks).equals(written)) throw differs(place, 'what was read is not what was written')
  let listed = false
  for await (const { name } of store.list({ signal })) listed ||= name === 'first'
  if (!listed) throw differs(place, 'what was written is not listed')
  await store.delete('first', { signal })
}

/** Removes what a first try may have left, if the storage lets it, and waits for that no longer than a moment. */
export async function swept(removal: Promise<unknown>): Promise<void> {
  await inTime(removal, SWEEP_MS, () => new Error('late')).catch(() => undefined)
}

function differs(place: string, what: string): PbmError {
  return new PbmError('DATA_DIFFERS', `${place}: ${what}`, {
    hint: 'Is this a server of the kind that storage.type names?',
  })
}
