import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { JournalFile, type TakeOverJournal } from '@pbmkit/core'
import { type FillableStorage, fillableStorage } from './small-disk.support.js'

describe('a physical restore on a disk that is full', () => {
  let disk: FillableStorage
  before(async () => {
    disk = await fillableStorage(1)
  })
  after(() => disk.unmount())

  it('can write down what leads back', async () => {
    const state = join(disk.path, 'state')
    const file = new JournalFile(state, 'h:1')
    const journal = (phase: TakeOverJournal['phase']) =>
      ({ phase, server: { dbPath: '/data'.repeat(4_000) } }) as TakeOverJournal
    await file.write(journal('placing'))
    await disk.fill()
    for (const phase of ['undo', 'back'] as const) {
      await file.write(journal(phase))
      assert.equal((await file.read())?.phase, phase)
    }
    await file.remove()
    assert.deepEqual(await readdir(state), [])
  })
})
