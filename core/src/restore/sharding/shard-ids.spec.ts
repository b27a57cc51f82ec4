import assert from 'node:assert/strict'
import type { BackupDocument } from '../../control/backup-document.js'
import type { ReplsetTopology } from '../../mongo/topology.js'
import { checkReplsets, shardIds } from './shard-ids.js'

function backup(names: string[], more: { iscs?: string; shardRemap?: Record<string, string> } = {}): BackupDocument {
  const replsets = names.map((name) => ({ name, ...(name === more.iscs ? { iscs: true } : {}) }))
  const { shardRemap } = more
  return { name: 'b', replsets, ...(shardRemap === undefined ? {} : { shardRemap }) } as unknown as BackupDocument
}

const cluster = (...sets: [rs: string, id: string][]): ReplsetTopology[] =>
  sets.map(([rs, id]) => ({ rs, id, members: [] }))

const SHARDED = cluster(['cfg', 'config'], ['s1', 's1'], ['second', 's2'])

describe('checkReplsets', () => {
  const refusal = (...[of, target, rsMap]: Parameters<typeof checkReplsets>) => {
    try {
      checkReplsets(of, target, rsMap)
      return ''
    } catch (error) {
      return String(error)
    }
  }

  it('takes a backup whose parts all have their place', () => {
    assert.equal(refusal(backup(['cfg', 's1', 'second'], { iscs: 'cfg' }), SHARDED, {}), '')
    assert.equal(refusal(backup(['c', 'a'], { iscs: 'c' }), SHARDED, { c: 'cfg', a: 'second' }), '')
    assert.equal(refusal(backup(['rs0']), cluster(['rs0', 'rs0']), {}), '')
    assert.equal(refusal(backup(['old']), cluster(['rs0', 'rs0']), { old: 'rs0' }), '')
  })

  it('says what has no place', () => {
    const whole = backup(['cfg', 's1', 's9'], { iscs: 'cfg' })
    assert.match(refusal(whole, SHARDED, {}), /there is no s9 in this cluster \(cfg, s1, second\)/)
    assert.match(refusal(whole, SHARDED, { s9: 's1' }), /s1 and s9 can't both become s1/)
    assert.match(refusal(whole, SHARDED, { s9: 'second', s8: 's1' }), /it has no s8/)
    assert.match(refusal(backup(['cfg', 's1'], { iscs: 'cfg' }), SHARDED, { cfg: 's1', s1: 'cfg' }), /config servers/)
    assert.match(refusal(backup(['cfg']), SHARDED, {}), /cfg are no config servers/)
    assert.match(refusal(backup(['cfg'], { iscs: 'cfg' }), cluster(['cfg', 'cfg']), {}), /cfg are config servers/)
  })
})

describe('shardIds', () => {
  it('goes from the ids of the backup over its replica sets to those of the cluster', () => {
    const of = backup(['cfg', 's1', 'x'], { iscs: 'cfg', shardRemap: { cfg: 'config', x: 'shard-x' } })
    assert.deepEqual(
      [...shardIds(of, SHARDED, { x: 'second' })],
      [
        ['config', 'config'],
        ['s1', 's1'],
        ['shard-x', 's2'],
      ],
    )
  })

  it('knows shards that came later by the names of their replica sets', () => {
    const later = new Map([
      ['s1', 'never'],
      ['x', 'shard-x'],
    ])
    const ids = shardIds(backup(['cfg', 's1'], { iscs: 'cfg' }), SHARDED, { x: 'second' }, later)
    assert.deepEqual([ids.get('s1'), ids.get('shard-x')], ['s1', 's2'])
  })

  it('can swap two shards', () => {
    const of = backup(['a', 'b'])
    const ids = shardIds(of, cluster(['c', 'config'], ['a', 'a'], ['b', 'b']), { a: 'b', b: 'a' })
    assert.deepEqual([ids.get('a'), ids.get('b')], ['b', 'a'])
  })
})
