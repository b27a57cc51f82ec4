import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { hasCode, type ObjectStore } from '@pbmkit/core/plugin'
import plugin from './index.js'
import { Scratch } from './scratch.support.js'

const run = promisify(execFile)
const MIB = 1024 * 1024

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const each of source) found.push(each)
  return found
}

async function* zeros(mebibytes: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < mebibytes; index++) yield Buffer.alloc(MIB)
}

/** Needs the right to mount; where that is missing, the cases are skipped and say so. */
describe('storage-filesystem on a small or read-only mount', () => {
  const scratch = new Scratch()
  let path: string
  let mounted = 0
  let store: ObjectStore

  async function mount(context: Mocha.Context, ...args: string[]): Promise<void> {
    try {
      await run('mount', args)
      mounted++
    } catch (error) {
      const reason = (error as { stderr?: string }).stderr?.trim() || String(error)
      console.log(`      not tried: mounting is not permitted here (${reason})`)
      context.skip()
    }
  }

  const open = () => plugin.open({ path }, { signal: new AbortController().signal, warn: () => undefined })

  beforeEach(async () => {
    path = await scratch.folder()
  })

  afterEach(async () => {
    await store?.close()
    for (; mounted > 0; mounted--) await run('umount', [path])
    await scratch.remove()
  })

  async function refused(work: Promise<unknown>, code: Parameters<typeof hasCode>[1], text: string): Promise<void> {
    const error = await work.then(
      () => assert.fail(`must be refused with ${code}`),
      (reason: unknown) => reason,
    )
    assert.ok(hasCode(error, code) && String(error).includes(text) && String(error).includes(path), String(error))
  }

  it('tells that the disk is full, leaves nothing, and goes on when there is room', async function () {
    await mount(this, '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path)
    store = await open()
    await store.save('folder/kept', zeros(1))
    await refused(store.save('folder/large', zeros(10)), 'STORAGE_NO_SPACE', 'no space left')
    await refused(store.save('new/large', zeros(10)), 'STORAGE_NO_SPACE', 'no space left')
    await refused(store.save('folder/kept', zeros(10)), 'STORAGE_NO_SPACE', 'no space left')
    assert.equal((await store.stat('folder/kept')).size, MIB)
    assert.deepEqual((await readdir(path, { recursive: true })).sort(), ['folder', 'folder/kept'])
    await store.save('folder/fits', zeros(2))
    await refused(store.copy('folder/fits', 'folder/copy'), 'STORAGE_NO_SPACE', 'no space left')
    await store.delete('folder/fits')
    await store.copy('folder/kept', 'folder/copy')
  })

  it('tells that there is no room for another file', async function () {
    await mount(this, '-t', 'tmpfs', '-o', 'size=4m,nr_inodes=8', 'tmpfs', path)
    store = await open()
    const saves = Array.from({ length: 12 }, (_, index) => store.save(`folder/${index}`, zeros(0)))
    const failed = (await Promise.allSettled(saves)).find(({ status }) => status === 'rejected')
    assert.ok(failed?.status === 'rejected')
    await refused(Promise.reject(failed.reason), 'STORAGE_NO_SPACE', 'no space left')
  })

  it('tells that the mount is read-only, and still reads', async function () {
    store = await open()
    await store.save('folder/object', zeros(1))
    await mount(this, '--bind', path, path)
    await run('mount', ['-o', 'remount,bind,ro', path])
    await store.close()
    store = await open()
    for (const work of [
      () => store.save('folder/new', zeros(1)),
      () => store.save('new/object', zeros(1)),
      () => store.delete('folder/object'),
      () => store.copy('folder/object', 'folder/copy'),
    ]) {
      await refused(work(), 'STORAGE_DENIED', 'read-only')
    }
    assert.equal((await store.stat('folder/object')).size, MIB)
    assert.equal((await all(store.list())).length, 1)
  })
})
