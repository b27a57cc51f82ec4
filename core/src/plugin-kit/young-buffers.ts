import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Between two collections of the young. At about 14 MiB of buffers V8 begins to collect everything, and most bytes are
 * told of twice: as read, and as what a codec made of them. Much less than this makes objects old before they are done.
 */
const INTERVAL_BYTES = 24 * 1024 * 1024

/** Of freed memory, half of what is kept for the next buffers. */
const KEPT_HALF_BYTES = 16 * 1024 * 1024

type Collect = (options: { type: 'minor' }) => void

let collect: Collect | undefined
let made = 0

/**
 * To be told of every large buffer that a data path makes. V8 sees little of them: the objects on its heap are tiny, so
 * it never collects the young ones, and once their memory adds up it collects the whole heap instead, at ten times the
 * cost, again and again. A collection of the young objects alone takes less than a millisecond and frees nearly all of
 * these buffers: they live for as long as it takes to write them.
 */
export function noteBufferMade(bytes: number): void {
  collect ??= collector()
  made += bytes
  if (made < INTERVAL_BYTES) return
  made = 0
  collect({ type: 'minor' })
}

function collector(): Collect {
  // Else V8, which counts buffers as old once they have outlived two collections, marks the whole heap on other threads
  // every 10 MB of them, to free next to nothing: a third of a backup's CPU. It still does so, at once, when it must.
  setFlagsFromString('--no-incremental-marking')
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('globalThis.gc')
  setFlagsFromString('--no-expose-gc')
  // Else glibc hands the end of its heap to the system after each collection, and each page of it costs time to get again.
  // Where MALLOC_MMAP_THRESHOLD_ is set, as an agent does for itself, that is wanted, and this without effect.
  // It keeps twice the size of the largest block of its own pages that was ever freed, up to 64 MiB; this one is never touched.
  new ArrayBuffer(KEPT_HALF_BYTES).transfer(0)
  // A runtime without it works as before, only slower.
  return typeof found === 'function' ? (found as Collect) : () => undefined
}
