import assert from 'node:assert/strict'
import { Long, ObjectId, Timestamp } from 'mongodb'
import { readCommand, refusalOf, stampSeconds } from './commands.js'

const _id = new ObjectId()
const at = new Timestamp({ t: 9, i: 1 })
const NAME = '2031-02-03T04:05:06Z'

describe('A document of pbmCmd', () => {
  it('is a command where every field is of its type, as PBM writes them', () => {
    for (const command of [
      {
        cmd: 'backup',
        backup: { type: 'logical', base: false, name: NAME, nss: null, compression: 's2', level: null },
      },
      {
        cmd: 'restore',
        restore: {
          ...{ name: NAME, backupName: NAME, nss: ['a.b'], rsMap: { a: 'b' }, fallbackEnabled: null, oplogTS: at },
          ...{ external: false, extConf: null, extTS: new Timestamp({ t: 0, i: 0 }), exit: false },
        },
      },
      { cmd: 'restorePart', restore: { name: NAME, backupName: NAME, pairs: [{ from: 'a.*', to: 'b.*' }] } },
      { cmd: 'restorePart', restore: { name: NAME, backupName: NAME, nss: ['a.b'], keepExisting: true } },
      { cmd: 'restorePart', restore: { name: NAME, backupName: NAME, nsFrom: 'a.b', nsTo: 'a.c', query: '{}' } },
      { cmd: 'planRestore', restore: { name: NAME, backupName: NAME } },
      { cmd: 'replay', replay: { name: NAME, start: at, end: at } },
      { cmd: 'cancelBackup' },
      { cmd: 'resync' },
      { cmd: 'resync', resync: { name: '', all: true } },
      { cmd: 'delete', delete: { backup: '', olderthan: Long.fromNumber(5) } },
      { cmd: 'deletePitr', deletePitr: { olderthan: 0 } },
      { cmd: 'cleanup', cleanup: { olderThan: at, profile: '' } },
      { cmd: 'addConfigProfile', profile: { name: 'a', profile: true, storage: { type: 'filesystem' } } },
      { cmd: 'removeConfigProfile', profile: { name: 'a' } },
      { cmd: 'rotateKeys', rotateKeys: { dryRun: true } },
      { cmd: 'verify', verify: { all: true, since: 1_764_500_000, readData: 10 } },
    ]) {
      assert.equal(refusalOf({ _id, ts: 1, ...command }), undefined, command.cmd)
      assert.equal(readCommand({ _id, ts: Long.fromNumber(1), ...command })?.ts, 1)
    }
  })

  it('is refused with the field that is wrong', () => {
    const long = 'x'.repeat(5_000)
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ cmd: 'backup', backup: { type: 'logical', name: { a: 2 }, compression: 's2' } }, /backup\.name/],
      [{ cmd: 'backup', backup: { name: long, compression: 's2' } }, /backup\.name/],
      [{ cmd: 'backup', backup: { name: NAME, compression: 's2', nss: [{}] } }, /backup\.nss/],
      [{ cmd: 'backup', backup: { name: NAME, compression: 's2', level: 'x' } }, /backup\.level/],
      [{ cmd: 'backup', backup: [] }, /backup is not/],
      [{ cmd: 'restore', restore: { name: { a: 3 }, backupName: NAME } }, /restore\.name/],
      [
        { cmd: 'restorePart', restore: { name: NAME, backupName: NAME, pairs: [{ from: 1, to: 'b.*' }] } },
        /restore\.pairs/,
      ],
      [{ cmd: 'restorePart', restore: { name: NAME, backupName: NAME } }, /names no part/],
      [{ cmd: 'restorePart', restore: { name: NAME, backupName: NAME, nss: [], nsFrom: '', pairs: null } }, /no part/],
      [{ cmd: 'restorePart', restore: { name: NAME, backupName: NAME, keepExisting: true, query: '{}' } }, /no part/],
      [{ cmd: 'restore', restore: { name: 'a/b', backupName: NAME } }, /restore\.name/],
      [{ cmd: 'restore', restore: { name: '..', backupName: NAME } }, /restore\.name/],
      [{ cmd: 'restore', restore: { name: 'a\u001b[2J', backupName: NAME } }, /restore\.name/],
      [{ cmd: 'restore', restore: { name: NAME, backupName: NAME, rsMap: { a: 1 } } }, /restore\.rsMap/],
      [{ cmd: 'replay', replay: { name: { a: 1 }, start: 1, end: 'x' } }, /replay\.name/],
      [{ cmd: 'replay', replay: { name: NAME, start: 1, end: at } }, /replay\.start/],
      [{ cmd: 'resync', resync: { name: {} } }, /resync\.name/],
      [{ cmd: 'delete', delete: { backup: { x: 1 } } }, /delete\.backup/],
      [{ cmd: 'deletePitr', deletePitr: { olderthan: 'x' } }, /deletePitr\.olderthan/],
      [{ cmd: 'cleanup', cleanup: { olderThan: 5 } }, /cleanup\.olderThan/],
      [{ cmd: 'addConfigProfile', profile: { name: 'a' } }, /profile\.storage/],
      [{ cmd: 'removeConfigProfile', profile: {} }, /profile\.name/],
      [{ cmd: 'rotateKeys' }, /rotateKeys is missing/],
      [{ cmd: 'verify', verify: { time: 1 } }, /verify.time is not a timestamp/],
      [{ cmd: 'toString' }, /cmd/],
      [{ cmd: { toString: 1 } }, /cmd/],
    ]
    for (const [document, reason] of cases) {
      assert.match(refusalOf({ _id, ts: 1, ...document }) ?? '', reason)
      assert.equal(readCommand({ _id, ts: 1, ...document }), undefined)
    }
    assert.match(refusalOf({ _id: { toString: 1 }, cmd: 'resync' }) ?? '', /_id/)
  })
})

describe('The second a command is stamped with', () => {
  const ours = { plugins: { storage: [], compression: [] } }

  it('is the sender’s, whether its clock is ahead of cluster time or a little behind', () => {
    assert.equal(stampSeconds(1_000, 900, [ours]), 1_000)
    assert.equal(stampSeconds(1_000, 1_005, [ours]), 1_000)
  })

  it('is cluster time’s where the sender’s clock is further behind', () => {
    assert.equal(stampSeconds(1_000, 1_006, [ours, ours]), 1_006)
    assert.equal(stampSeconds(1_000, 4_600, []), 4_600)
  })

  it('is never ahead of the sender’s where an agent of PBM’s listens, which would take the command up twice', () => {
    assert.equal(stampSeconds(1_000, 1_030, [{}]), 1_000)
    assert.equal(stampSeconds(1_000, 1_030, [ours, {}]), 1_000)
  })
})
