import type { ObjectInfo, SaveOptions } from '@pbmkit/core/plugin'
import { type KeptObject, MemoryStore } from './reference-storage.js'

/** Questions that are answered at once, without a timer or I/O getting on in between; more would go on for ever. */
const MOST_AT_ONCE = 10_000

/** A right store that answers at once, and needs a turn of the event loop to save or copy: nobody may starve it. */
export class UnhurriedStore extends MemoryStore {
  static #asked = 0

  override require(name: string): KeptObject {
    if (++UnhurriedStore.#asked > MOST_AT_ONCE) throw new Error('timers and I/O are starved')
    return super.require(name)
  }

  override async save(name: string, body: AsyncIterable<Uint8Array>, options?: SaveOptions): Promise<ObjectInfo> {
    await UnhurriedStore.#turn()
    return super.save(name, body, options)
  }

  override async copy(source: string, target: string, options?: SaveOptions): Promise<ObjectInfo> {
    await UnhurriedStore.#turn()
    return super.copy(source, target, options)
  }

  static async #turn(): Promise<void> {
    await new Promise(setImmediate)
    UnhurriedStore.#asked = 0
  }
}
