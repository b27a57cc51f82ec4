import { arrayElement, buildDocument, documentElement, stringElement } from '../../bson/build.js'
import { documentLength } from '../../bson/documents.js'
import { documentsOfArray, type ElementPosition, findDocument, findString, readElement } from '../../bson/elements.js'
import { isControlCollection } from '../../mongo/control-names.js'
import { collectionOf, commandName, databaseOf } from '../entry.js'
import { withField } from '../raw-fields.js'

/** No entry about a control collection is without one of them: it names the collection, or is a command of its database. */
const TRACES = [Buffer.from('admin.pbm'), Buffer.from('admin.$cmd')]
/** What a reader needs of an entry that says nothing: its place. */
const KEPT: ReadonlySet<string> = new Set(['ts', 't', 'v', 'wall'])
const END = Buffer.alloc(1)
/** Of a document: its length, to be set, and its first fields. */
const NO_OPERATION = buildDocument([
  stringElement('op', 'n'),
  stringElement('ns', ''),
  documentElement('o', buildDocument([])),
]).subarray(0, -1)

/**
 * Whole oplog entries with a no-op in the place of each about a control collection. The configuration with its secrets is
 * in there, commands, logs; no replay uses any of it, and PBM ignores no-ops. The entries keep their number, order and
 * time. What holds no such entry comes back as it is, at the cost of a search for a text.
 */
export function withoutControlEntries(entries: Buffer): Buffer {
  const parts: Buffer[] = []
  const found = TRACES.map((trace) => entries.indexOf(trace))
  let done = 0
  let offset = 0
  for (;;) {
    const trace = Math.min(...found.filter((at) => at >= 0))
    if (trace === Number.POSITIVE_INFINITY) break
    while (offset + entries.readInt32LE(offset) <= trace) offset += documentLength(entries, offset)
    const entry = entries.subarray(offset, offset + documentLength(entries, offset))
    const changed = withoutControlEntry(entry)
    if (changed !== entry) {
      parts.push(entries.subarray(done, offset), changed)
      done = offset + entry.length
    }
    offset += entry.length
    // Only what was passed is looked for again: a search to the end for each of many entries would take for ever.
    for (const [index, text] of TRACES.entries()) {
      const at = found[index] ?? -1
      if (at >= 0 && at < offset) found[index] = entries.indexOf(text, offset)
    }
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
  const parts: Buffer[] = [NO_OPERATION]
  const element: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  for (let at = 4; readElement(entry, at, entry.length, element); at = element.end) {
    const name = entry.toString('latin1', element.start + 1, element.value - 1)
    if (KEPT.has(name)) parts.push(entry.subarray(element.start, element.end))
  }
  parts.push(END)
  const document = Buffer.concat(parts)
  document.writeInt32LE(document.length, 0)
  return document
}

function isControl(ns: string): boolean {
  return databaseOf(ns) === 'admin' && isControlCollection(collectionOf(ns))
}
