import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PbmError } from '../errors.js'
import { SyncFiles } from '../restore/physical/sync-files.js'
import { isPrintable } from '../secrets/printable.js'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { hasMark } from './backup-mark.js'
import { listPhysicalRestores, readPhysicalRestore } from './physical-restores.js'
import { readIdentity } from './storage-identity.js'

const RESTORE = '2031-02-03T04:05:06.000000001Z'
const NODE = 'h:1'
const PARTY = {
  rs: 'rs0',
  node: NODE,
  nodes: [NODE, 'h:2'],
  replsets: ['rs0'],
  leading: 'rs0',
  isCoordinator: false,
}
const states = fc.constantFrom('starting', 'running', 'copyDone', 'down', 'done', 'error', 'partlyDone', 'hb', 'x', '')
const texts = fc.oneof(
  fc.string(),
  fc.json(),
  fc.constantFrom(
    '1795320092',
    '1795320092:it failed',
    '1:\u001b[2J',
    '{"status":"done"}',
    'x'.repeat(70_000),
    '[]',
    'null',
  ),
)
const names = fc.oneof(
  fc.constant(`${RESTORE}.json`),
  states.map((state) => `${RESTORE}/cluster.${state}`),
  states.map((state) => `${RESTORE}/rs.rs0/rs.${state}`),
  fc
    .tuple(fc.constantFrom(NODE, 'h:2', '\u001b[2J', ''), states)
    .map(([node, state]) => `${RESTORE}/rs.rs0/node.${node}.${state}`),
  fc.string({ maxLength: 30 }),
)

function storeOf(objects: readonly (readonly [string, string])[]): FaultyStore {
  const store = new FaultyStore()
  store.chunkBytes = 100_000
  for (const [name, text] of objects) store.put(name, text)
  return store
}

function requireWords(error: unknown, codes: RegExp): void {
  assert.match(String((error as { code?: unknown }).code), codes, (error as Error).stack)
}

describe('What a physical restore has left on a storage, changed by somebody', () => {
  const objects = fc.array(fc.tuple(names, texts), { maxLength: 8 })
  const left = objects.map((all) => storeOf(all.map(([name, text]) => [`.pbm.restore/${name}`, text] as const)))

  it('is read or refused in words, and moves no cursor', async () => {
    await fc.assert(
      fc.asyncProperty(left, async (store) => {
        for (const name of await listPhysicalRestores(store)) assert.ok(isPrintable(name))
        try {
          const found = await readPhysicalRestore(store, RESTORE)
          const told = [
            found?.error,
            ...(found?.replsets ?? []).flatMap(({ error, nodes }) => [error, nodes?.[0]?.status]),
          ]
          for (const text of told) assert.ok(text === undefined || isPrintable(text), text)
        } catch (error) {
          requireWords(error, /^(RESTORE_RECORD|OBJECT_TOO_LARGE)$/)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('is what members agree by, or is none of it', async () => {
    const { signal } = new AbortController()
    await fc.assert(
      fc.asyncProperty(left, async (store) => {
        const sync = new SyncFiles({ store, restore: RESTORE, party: PARTY, signal })
        const isThere = (state: string) => store.objects.has(`.pbm.restore/${RESTORE}/rs.rs0/node.h:2.${state}`)
        try {
          const outcomes = await sync.outcomes([NODE, 'h:2'], 0)
          assert.equal(outcomes.get('h:2'), ['error', 'partlyDone', 'done'].find(isThere))
          await sync.awaitDecision(0)
          assert.ok(isPrintable(await sync.clusterError()))
          await sync.awaitNodes(['h:2'], 'down', 0)
        } catch (error) {
          requireWords(error, /^RESTORE_NODE$/)
          assert.ok(error instanceof PbmError && isPrintable(error.message))
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('What tells storages apart, changed by somebody', () => {
  it('is an identity or none, and a mark or none', async () => {
    const opid = '6b0268fcbcfde2227186d740'
    await fc.assert(
      fc.asyncProperty(fc.oneof(texts, fc.uuid(), fc.constant(opid)), async (text) => {
        const store = storeOf([
          ['.pbmkit.storage', text],
          ['.pbmkit.mark-b', text],
        ])
        const identity = await readIdentity(store)
        assert.ok(identity === undefined || (identity === text && /^[0-9a-f-]{36}$/.test(identity)))
        try {
          assert.equal(await hasMark(store, { backup: 'b', opid }), text === opid)
        } catch (error) {
          requireWords(error, /^OBJECT_TOO_LARGE$/)
        }
      }),
      { numRuns: 200 },
    )
  })
})
