import { arrayElement, buildDocument, documentElement, type RawElement, stringElement } from '../../bson/build.js'
import { documentLength } from '../../bson/documents.js'
import { documentsOfArray, findDocument, findField, findString } from '../../bson/elements.js'
import { isControlCollection } from '../../mongo/control-names.js'
import { collectionOf, commandName, databaseOf } from '../entry.js'
import { withField } from '../raw-fields.js'

/** No entry about a control collection is without one of them: it names the collection, or is a command of its database. */
const TRACES = [Buffer.from('admin.pbm'), Buffer.from('admin.$cmd')]
/** What a reader needs of an entry that says nothing: its place. */
const KEPT: ReadonlySet<string> = new Set(['ts', 't', 'v', 'wall'])
const NOTHING = buildDocument([])

/**
 * Whole oplog entries with a no-op in the place of each about a control collection. The configuration with its secrets is
 * in there, commands, logs; no replay uses any of it, and PBM ignores no-ops. The entries keep their number, order and
 * time. What holds no such entry comes back as it is, at the cost of a search for a text.
 */
export function withoutControlEntries(entries: Buffer): Buffer {
  const parts: Buffer[] = []
  let done = 0
  let offset = 0
  for (let trace = nextTrace(entries, 0); trace >= 0; trace = nextTrace(entries, offset)) {
    while (offset + entries.readInt32LE(offset) <= trace) offset += documentLength(entries, offset)
    const entry = entries.subarray(offset, offset + documentLength(entries, offset))
    const changed = withoutControlEntry(entry)
    if (changed !== entry) {
      parts.push(entries.subarray(done, offset), changed)
      done = offset + entry.length
    }
    offset += entry.length
  }
  if (parts.length === 0) return entries
  return Buffer.concat([...parts, entries.subarray(done)])
}

/** The same for one entry, or one operation inside of `applyOps`. */
export function withoutControlEntry(entry: Buffer): Buffer {
  const ns = findString(entry, 'ns') ?? ''
  if (isControl(ns)) return noOperation(entry)
  if (ns !== 'admin.$cmd') return entry
  const o = findDocument(entry, 'o')
  if (o === undefined || findString(entry, 'op') !== 'c') return entry
  const command = commandName(o)
  if (command === 'applyOps') return withInner(entry, o)
  const target = findString(o, command) ?? ''
  if (command !== 'renameCollection') return isControlCollection(target) ? noOperation(entry) : entry
  return isControl(target) && isControl(findString(o, 'to') ?? '') ? noOperation(entry) : entry
}

function withInner(entry: Buffer, o: Buffer): Buffer {
  const array = findDocument(o, 'applyOps')
  if (array === undefined || TRACES.every((trace) => !array.includes(trace))) return entry
  const operations = documentsOfArray(array)
  const changed = operations.map(withoutControlEntry)
  if (changed.every((operation, index) => operation === operations[index])) return entry
  return withField(entry, documentElement('o', withField(o, arrayElement('applyOps', changed))))
}

function noOperation(entry: Buffer): Buffer {
  const kept: RawElement[] = []
  for (const name of KEPT) {
    const field = findField(entry, name)
    if (field !== undefined) kept.push({ name, type: field.type, value: entry.subarray(field.value, field.end) })
  }
  return buildDocument([stringElement('op', 'n'), stringElement('ns', ''), documentElement('o', NOTHING), ...kept])
}

function isControl(ns: string): boolean {
  return databaseOf(ns) === 'admin' && isControlCollection(collectionOf(ns))
}

function nextTrace(entries: Buffer, offset: number): number {
  if (offset >= entries.length) return -1
  const found = TRACES.map((trace) => entries.indexOf(trace, offset)).filter((at) => at >= 0)
  return found.length === 0 ? -1 : Math.min(...found)
}
