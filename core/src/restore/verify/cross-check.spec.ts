import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ObjectStore } from '../../plugin/storage.js'
import { PluginHost } from '../../plugin-host/host.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import { crossCheckList } from './cross-check.js'

describe('what lies in the folder of a backup', () => {
  let folder: string
  let store: ObjectStore
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-cross-check-'))
    const plugin = await new PluginHost({ resolveFrom: import.meta.url }).storage('filesystem')
    store = await plugin.open({ path: folder }, { signal: new AbortController().signal, warn: () => undefined })
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  const check = async (suffix: string) => {
    const told: string[] = []
    const warn = (text: string) => told.push(text)
    await crossCheckList(store, { namespaces: [] }, { list: 'backup/rs0/metadata.json', suffix, warn })
    return told.length
  }
  const save = (name: string) => store.save(`backup/rs0/${name}`, bodyOf(Buffer.from('x')))

  it('may be what file systems and desktops leave there', async () => {
    for (const name of ['.nfs0000001', '.DS_Store', '._shop.orders.gz', 'Thumbs.db', 'notes']) await save(name)
    assert.equal(await check('.gz'), 5)
    assert.equal(await check(''), 5)
  })

  it('is damage where it looks like documents that are not listed', async () => {
    await save('shop.orders')
    assert.equal(await check('.gz'), 1)
    await assert.rejects(check(''), { code: 'BACKUP_DAMAGED', message: /shop\.orders/ })
    await save('shop.a/b.gz')
    await assert.rejects(check('.gz'), { code: 'BACKUP_DAMAGED', message: /shop\.a/ })
  })
})
