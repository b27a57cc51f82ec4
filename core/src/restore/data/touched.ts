import type { NamespaceMetadata } from '../../archive/metadata.js'
import { findString } from '../../bson/elements.js'
import { commandName, databaseOf, type Operation } from '../../oplog/entry.js'
import { findUuid } from '../../oplog/raw-fields.js'
import { commandTarget } from '../../oplog/replay/classify.js'

/** More than any cluster has; then all count as touched. */
const MOST = 200_000

/** Which collections an oplog changes in any way, by name and by UUID. */
export class TouchedCollections {
  readonly #names = new Set<string>()
  readonly #uuids = new Set<string>()
  readonly #databases = new Set<string>()
  #lastNs = ''
  #lastUi: Buffer | undefined

  see(operation: Operation): void {
    const { op, ns, ui, o } = operation
    if (op !== 'c') {
      // Runs of changes of one collection are the rule.
      if (ns === this.#lastNs && (ui === undefined || this.#lastUi?.equals(ui) === true)) return
      this.#add(ns, ui)
      this.#lastNs = ns
      this.#lastUi = ui === undefined ? undefined : Buffer.from(ui)
      return
    }
    const command = commandName(o)
    if (command === 'dropDatabase') this.#databases.add(databaseOf(ns))
    this.#add(commandTarget(operation), ui)
    if (command === 'renameCollection') this.#add(findString(o, 'to') ?? '', findUuid(o, 'dropTarget'))
  }

  has({ db, collection, uuid }: Pick<NamespaceMetadata, 'db' | 'collection' | 'uuid'>): boolean {
    if (this.#names.size + this.#uuids.size + this.#databases.size > MOST) return true
    return (
      this.#names.has(`${db}.${collection}`) || this.#databases.has(db) || (uuid !== undefined && this.#uuids.has(uuid))
    )
  }

  #add(ns: string, uuid: Buffer | undefined): void {
    if (this.#names.size + this.#uuids.size > MOST) return
    this.#names.add(ns)
    if (uuid !== undefined) this.#uuids.add(uuid.toString('hex'))
  }
}
