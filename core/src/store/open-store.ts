import type { ListOptions, ObjectStore } from '../plugin/storage.js'

export type MeteredCall = 'save' | 'read' | 'stat' | 'list' | 'delete' | 'copy'

/** What one kind of call has done so far. */
export interface CallFigures {
  readonly calls: number
  /** Calls that failed in the end; refusals such as NOT_FOUND among them. */
  readonly errors: number
  /** Stored or read, of calls that failed too; of a copy, the size of the object. */
  readonly bytes: number
  /** Time during which at least one such call was under way (milliseconds). */
  readonly busyMs: number
}

export interface TransferFigures extends Readonly<Record<MeteredCall, CallFigures>> {
  /** Failures that were tried again. */
  readonly retries: number
}

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

/** The store as a plain object, to spread and change parts of: spread itself, a class would lose its methods. */
export function bound(store: OpenStore): OpenStore {
  return {
    capabilities: store.capabilities,
    save: (name, body, options) => store.save(name, body, options),
    read: (name, options) => store.read(name, options),
    stat: (name, options) => store.stat(name, options),
    list: (options) => store.list(options),
    delete: (name, options) => store.delete(name, options),
    copy: (source, target, options) => store.copy(source, target, options),
    close: () => store.close(),
    figures: store.figures,
    strayParts: store.strayParts,
  }
}
