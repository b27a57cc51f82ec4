import type { ListOptions, ObjectStore } from '../plugin/storage.js'
import type { TransferFigures } from './wrappers/meter.js'

/** An open storage, and what its wrappers know beside the contract. Any store is one of which nothing is known. */
export interface OpenStore extends ObjectStore {
  /** What was done with it so far; absent where nobody counts. */
  readonly figures?: (() => TransferFigures) | undefined
  /**
   * Names of parts below a prefix whose object is not there, because who wrote it was killed: nothing lists them, yet they
   * take their space. `delete` takes these names. Absent where objects are never split.
   */
  readonly strayParts?: ((options?: ListOptions) => AsyncIterable<string>) | undefined
}
