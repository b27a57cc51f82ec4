import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ObjectStore } from '../plugin/storage.js'
import { PluginHost } from '../plugin-host/host.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { deleteBackupObjects } from './delete-objects.js'

describe('The objects of a backup that go with it', () => {
  const [name, other] = ['2031-02-03T04:05:06Z', '2031-02-03T04:05:07Z']
  let folder: string
  let store: ObjectStore
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-delete-'))
    const plugin = await new PluginHost({ resolveFrom: import.meta.url }).storage('filesystem')
    store = await plugin.open({ path: folder }, { signal: new AbortController().signal, warn: () => undefined })
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  const save = async (...names: string[]) => {
    for (const object of names) await store.save(object, bodyOf(Buffer.from('x')))
  }
  const left = async () => {
    const names: string[] = []
    for await (const object of store.list()) names.push(object.name)
    return names.sort()
  }
  const part = (rs: string, dump_name: string, oplog_name = '') => ({ name: rs, dump_name, oplog_name })

  it('are those at the root that are called as it, before PBM 2.0', async () => {
    await save(`${name}.pbm.json`, `${name}_rs0.dump.s2`, `${name}_rs0.oplog.s2`, `${name}_rs1.dump`)
    const replsets = [part('rs0', `${name}_rs0.dump.s2`, `${name}_rs0.oplog.s2`), part('rs1', `${name}_rs1.dump`)]
    await deleteBackupObjects(store, { name, pbm_version: '1.6.0', replsets })
    assert.deepEqual(await left(), [])
    // With colons that somebody has replaced.
    await save(`${name}.pbm.json`, '2031-02-03T04.05.06Z_rs0.dump.s2')
    const dotted = [part('rs0', '2031-02-03T04.05.06Z_rs0.dump.s2')]
    await deleteBackupObjects(store, { name, pbm_version: '1.6.0', replsets: dotted })
    assert.deepEqual(await left(), [])
  })

  it("are never another backup's, whatever its record names", async () => {
    const theirs = [
      `${other}_rs0.dump.s2`,
      `${other}_rs0.oplog.s2`,
      `${other}_my_rs.dump.s2`,
      `${other}/rs0/a.b`,
      `${name}x_rs0.dump`,
    ].sort()
    await save(...theirs)
    const forged = theirs.map((object) => part('rs0', object, object.replace('dump', 'oplog')))
    const versions = ['1.6.0', '2.15.0']
    for (const pbm_version of versions) {
      await save(`${name}.pbm.json`)
      await deleteBackupObjects(store, { name, pbm_version, replsets: forged })
      await deleteBackupObjects(store, {
        ...{ name: `${other}_my`, pbm_version },
        replsets: [part('rs', `${other}_my_rs.dump.s2`)],
      })
      assert.deepEqual(await left(), theirs)
    }
  })

  it('are none where its folder is a storage of its own', async () => {
    for (const marker of ['.pbm.init', 'below/.pbm.init', '.pbmkit.storage', `${other}.pbm.json`]) {
      const theirs = ['team.pbm.json', `team/${marker}`, `team/${other}/rs0/a.b`]
      await save(...theirs)
      await assert.rejects(deleteBackupObjects(store, { name: 'team', pbm_version: '2.15.0', replsets: [] }), {
        code: 'FOLDER_FOREIGN',
        message: /^team\/\S+ says that team\/ is a storage of its own/,
      })
      assert.deepEqual(await left(), theirs.sort())
      await store.delete(`team/${marker}`)
    }
    // A collection may be called so.
    await save('team/rs0/db.x.pbm.json')
    await deleteBackupObjects(store, { name: 'team', pbm_version: '2.15.0', replsets: [] })
    assert.deepEqual(await left(), [])
  })
})
