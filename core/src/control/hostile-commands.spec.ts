import assert from 'node:assert/strict'
import { type Document, Long, ObjectId, Timestamp } from 'bson'
import fc from 'fast-check'
import { parseQuery } from '../config/query.js'
import { PbmError } from '../errors.js'
import { readCommand, refusalOf } from './commands.js'
import { Renaming } from './renaming.js'
import { checkedSelection } from './selection.js'

const KINDS = [
  ...['backup', 'restore', 'restorePart', 'planRestore', 'replay', 'cancelBackup', 'resync', 'delete', 'deletePitr'],
  ...['cleanup', 'addConfigProfile', 'removeConfigProfile', 'rotateKeys', 'x', '__proto__', 'constructor'],
]
const KEYS = [
  ...[
    'name',
    'backupName',
    'nss',
    'nsFrom',
    'nsTo',
    'pairs',
    'query',
    'oplogTS',
    'rsMap',
    'type',
    'compression',
    'olderThan',
  ],
  ...['lifecycleAt', 'profile', 'storage', 'start', 'end', 'keepExisting', 'dryRun', 'backup', 'olderthan', '$where'],
]
const values = fc.oneof(
  fc.anything({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    new Timestamp({ t: 5, i: 1 }),
    Long.fromNumber(5),
    new ObjectId(),
    ['a.b'],
    [{ from: 'a.b', to: 'c.d' }],
  ),
  fc.constantFrom<unknown>('2031-02-03T04:05:06Z', '../x', '\u001b[2J', 'x'.repeat(5000), null, { a: 'b' }, true, ''),
)
const payloads = fc.dictionary(fc.constantFrom(...KEYS), values, { maxKeys: 8 })
const documents: fc.Arbitrary<Document> = fc
  .tuple(fc.constantFrom(...KINDS), fc.oneof(values, payloads), fc.oneof(values, fc.constant(new ObjectId())), values)
  .map(([cmd, payload, _id, ts]) => {
    const key = { restorePart: 'restore', planRestore: 'restore', addConfigProfile: 'profile' }[cmd] ?? cmd
    return { _id, ts, cmd, [key]: payload }
  })

describe('A command that somebody has put together', () => {
  it('is one with each field of its type, or none', () => {
    fc.assert(
      fc.property(documents, (document) => {
        const command = readCommand(document)
        assert.equal(command === undefined, refusalOf(document) !== undefined)
        if (command === undefined) return
        assert.ok(command._id instanceof ObjectId && typeof command.ts === 'number')
        if (command.cmd === 'restore' || command.cmd === 'replay') {
          const { name } = command.cmd === 'restore' ? command.restore : command.replay
          assert.match(name, /^[^/\\]+$/)
        }
        if (command.cmd === 'restorePart') {
          const { nss, nsFrom, pairs } = command.restore
          assert.ok([nss, nsFrom, pairs].some((part) => part !== undefined && part !== null && part.length > 0))
        }
      }),
      { numRuns: 1000 },
    )
  })

  const refused = (work: () => unknown, codes: RegExp) => {
    try {
      work()
    } catch (error) {
      assert.ok(error instanceof PbmError, (error as Error).stack)
      assert.match(error.code, codes)
    }
  }
  const namespaces = fc.oneof(
    fc.string(),
    fc.constantFrom('a.b', 'a.*', '*', 'admin.*', 'config.x', 'a.system.views', '.'),
  )

  it('chooses namespaces that there can be, or is refused', () => {
    fc.assert(
      fc.property(fc.array(namespaces, { maxLength: 4 }), fc.boolean(), namespaces, (nss, users, to) => {
        refused(() => checkedSelection(nss, users), /^NAMESPACE_|^USERS_/)
        refused(() => Renaming.of(nss.map((from) => ({ from, to }))), /^NAMESPACE_/)
      }),
      { numRuns: 500 },
    )
  })

  it('has a query that is one, or is refused', () => {
    const queries = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom('{"$where":"1"}', '{"a":{"$date":"x"}}', '{"_id":{"$oid":1}}'),
    )
    fc.assert(
      fc.property(queries, (text) => refused(() => parseQuery(text), /^QUERY_/)),
      { numRuns: 500 },
    )
  })
})
