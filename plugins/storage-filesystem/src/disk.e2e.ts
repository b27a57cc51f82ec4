import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, type ObjectStore } from '@pbmkit/core/plugin'
import { temporaryName } from '@pbmkit/core/plugin/kit'
import plugin from './index.js'
import { Scratch } from './scratch.support.js'

const MIB = 1024 * 1024

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const each of source) found.push(each)
  return found
}

async function* body(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

describe('storage-filesystem on the disk', () => {
  const scratch = new Scratch()
  let path: string
  let store: ObjectStore

  const open = (folder: string, options: { fileMode?: string } = {}, context: { mustExist?: boolean } = {}) =>
    plugin.open(
      { path: folder, ...options },
      { signal: new AbortController().signal, warn: () => undefined, ...context },
    )
  /** Everything below the folder, of any kind. */
  const everything = async () => (await readdir(path, { recursive: true })).sort()
  const names = async () => (await all(store.list())).map(({ name }) => name)

  beforeEach(async () => {
    path = await scratch.folder()
    store = await open(path)
  })

  afterEach(async () => {
    await store.close()
    await scratch.remove()
  })

  async function refused(
    work: Promise<unknown>,
    code: Parameters<typeof hasCode>[1],
    ...texts: string[]
  ): Promise<void> {
    const error = await work.then(
      () => assert.fail(`must be refused with ${code}`),
      (reason: unknown) => reason,
    )
    assert.ok(hasCode(error, code), String(error))
    for (const text of texts) assert.ok(String(error).includes(text), String(error))
  }

  it('lays objects out as files, as PBM does', async () => {
    await store.save('2026-11-22T02:59:29Z/rs0/db.coll.s2', body('x'))
    assert.equal(await readFile(join(path, '2026-11-22T02:59:29Z', 'rs0', 'db.coll.s2'), 'utf8'), 'x')
  })

  it('keeps files and folders from other users unless it is told otherwise, and never loosens the umask', async () => {
    const modesWith = async (options: { fileMode?: string }, umask: number) => {
      const folder = join(await scratch.folder(), 'new')
      const before = process.umask(umask)
      try {
        const opened = await open(folder, options)
        await opened.save('a/object', body('x'))
        await opened.close()
      } finally {
        process.umask(before)
      }
      const places = [folder, join(folder, 'a'), join(folder, 'a', 'object')]
      return Promise.all(places.map(async (place) => ((await stat(place)).mode & 0o777).toString(8)))
    }
    assert.deepEqual(await modesWith({}, 0), ['700', '700', '600'])
    assert.deepEqual(await modesWith({ fileMode: '0640' }, 0), ['750', '750', '640'])
    assert.deepEqual(await modesWith({ fileMode: '644' }, 0o027), ['750', '750', '640'])
  })

  it('tells of a file that is cut while it is read, after the bytes that it had', async () => {
    await store.save('object', body(Buffer.alloc(8 * MIB, 1)))
    let read = 0
    const cut = async () => {
      for await (const chunk of await store.read('object')) {
        if (read === 0) await truncate(join(path, 'object'), 5 * MIB + 1)
        read += chunk.length
      }
    }
    await refused(cut(), 'STORAGE_UNAVAILABLE', 'the file was cut to')
    assert.ok(read > 0 && read <= 5 * MIB + 1, String(read))
  })

  it('makes the folder of the storage when it is missing, and takes a link to it', async () => {
    const folder = join(path, 'new', 'folder')
    await (await open(folder)).close()
    await symlink(folder, join(path, 'link'))
    const linked = await open(join(path, 'link'))
    await linked.save('object', body('x'))
    assert.equal(await readFile(join(folder, 'object'), 'utf8'), 'x')
    await linked.close()
  })

  it('does not make a folder that was used before', async () => {
    const folder = join(path, 'used', 'folder')
    await refused(open(folder, {}, { mustExist: true }), 'STORAGE_UNAVAILABLE', 'is gone; see that it is mounted')
    await symlink(folder, join(path, 'link'))
    await refused(open(join(path, 'link'), {}, { mustExist: true }), 'STORAGE_UNAVAILABLE', 'is gone')
    assert.deepEqual(await readdir(path), ['link'])
  })

  it('refuses a path that is a file or leads through one', async () => {
    await writeFile(join(path, 'file'), '')
    await refused(open(join(path, 'file')), 'STORAGE_UNAVAILABLE', 'not a folder')
    await refused(open(join(path, 'file', 'below')), 'STORAGE_UNAVAILABLE', 'not a folder')
  })

  it('refuses a path where no folder can be made, at once', async function () {
    await symlink(join(path, 'gone'), join(path, 'link'))
    await refused(open(join(path, 'link')), 'STORAGE_UNAVAILABLE', "can't be made")
    if (process.platform !== 'linux') this.skip()
    await refused(open('/proc/nowhere'), 'STORAGE_UNAVAILABLE', '/proc/nowhere', "can't be made")
    await refused(open('/proc/nowhere/below'), 'STORAGE_UNAVAILABLE', '/proc/nowhere/below')
  })

  it('leaves nothing of failed and aborted saves, no folder either', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(3 * MIB)
      throw new Error('cut')
    }
    await assert.rejects(store.save('a/b/c', failing()), /cut/)
    const controller = new AbortController()
    async function* aborting(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(3 * MIB)
      controller.abort()
      yield Buffer.alloc(3 * MIB)
    }
    await refused(store.save('a/b/c', aborting(), { signal: controller.signal }), 'STORAGE_ABORTED')
    assert.deepEqual(await everything(), [])
  })

  it('removes the folders that a delete empties, and no other', async () => {
    await store.save('a/b/c/d', body('x'))
    await store.save('a/e', body('x'))
    await store.delete('a/b/c/d')
    assert.deepEqual(await everything(), ['a', 'a/e'])
    await store.delete('a/e')
    assert.deepEqual(await everything(), [])
  })

  it('puts an object where a folder was left empty', async () => {
    await mkdir(join(path, 'object'))
    await store.save('object', body('x'))
    assert.deepEqual(await names(), ['object'])
  })

  it('follows no link inside the storage', async () => {
    const outside = await scratch.folder()
    await writeFile(join(outside, 'file'), 'secret')
    await symlink(outside, join(path, 'folder'))
    await symlink(join(outside, 'file'), join(path, 'file'))
    await store.save('object', body('x'))
    assert.deepEqual(await names(), ['object'])
    for (const name of ['file', 'folder/file']) {
      await refused(store.read(name), 'STORAGE_DENIED', 'link')
      await refused(store.stat(name), 'STORAGE_DENIED', 'link')
      await refused(store.copy(name, 'copy'), 'STORAGE_DENIED', 'link')
      await refused(store.delete(name), 'STORAGE_DENIED', 'link')
    }
    await refused(store.save('folder/new', body('x')), 'STORAGE_DENIED', 'link')
    assert.deepEqual(await readdir(outside), ['file'])
    // A link in the place of an object is replaced, not written through.
    await store.save('file', body('new'))
    assert.equal(await readFile(join(outside, 'file'), 'utf8'), 'secret')
  })

  it('lists no file that another program is writing', async () => {
    await mkdir(join(path, 'backup'))
    await writeFile(join(path, 'backup', 'db.coll.s2.tmp'), 'half')
    await store.save('backup/object', body('x'))
    assert.deepEqual(await names(), ['backup/object'])
    assert.ok((await everything()).includes('backup/db.coll.s2.tmp'))
  })

  it('tells pipes, folders and sockets from objects', async () => {
    await mkdir(join(path, 'folder'))
    await once(spawn('mkfifo', [join(path, 'pipe')]), 'exit')
    await refused(store.read('pipe'), 'STORAGE_NOT_FOUND')
    await refused(store.stat('folder'), 'STORAGE_NOT_FOUND')
    assert.deepEqual(await names(), [])
  })

  it('tells that the folder is gone, and does not make it anew', async () => {
    const gone = await scratch.folder()
    const opened = await open(join(gone, 'share'))
    await opened.save('object', body('x'))
    await scratch.remove()
    await refused(opened.save('a/b', body('x')), 'STORAGE_UNAVAILABLE', 'mounted')
    await refused(opened.read('object'), 'STORAGE_UNAVAILABLE', 'mounted')
    await refused(opened.stat('object'), 'STORAGE_UNAVAILABLE', 'mounted')
    await refused(opened.delete('object'), 'STORAGE_UNAVAILABLE', 'mounted')
    await refused(all(opened.list()), 'STORAGE_UNAVAILABLE', 'mounted')
    await opened.close()
    path = await scratch.folder()
  })

  it('holds no file open after reads that ended in any way', async function () {
    if (process.platform !== 'linux') this.skip()
    await store.save('object', body(Buffer.alloc(9 * MIB, 1)))
    const openFiles = async () => {
      const fds = await readdir('/proc/self/fd')
      const targets = await Promise.all(fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
      return targets.filter((target) => target.startsWith(path))
    }
    for await (const _ of await store.read('object')) break
    await all(await store.read('object', { offset: 5 }))
    await refused(store.read('object', { offset: 10 * MIB }), 'STORAGE_INVALID_RANGE')
    const controller = new AbortController()
    await store.read('object', { signal: controller.signal })
    controller.abort()
    while ((await openFiles()).length > 0) await new Promise((resolve) => setTimeout(resolve, 1))
    await store.read('object')
    assert.equal((await openFiles()).length, 1)
    await store.close()
    assert.deepEqual(await openFiles(), [])
  })

  describe('files that were being written', () => {
    const writers: ChildProcess[] = []

    /** A process that saves and never ends; resolves once its file is there. */
    async function writer(): Promise<ChildProcess> {
      const script = `
        const { default: plugin } = await import(${JSON.stringify(new URL('./index.js', import.meta.url).href)})
        const store = await plugin.open({ path: ${JSON.stringify(path)} }, { signal: new AbortController().signal, warn() {} })
        store.save('a/object', (async function* () {
          yield Buffer.alloc(2 * 1024 * 1024)
          console.log('writing')
          await new Promise((resolve) => setTimeout(resolve, 1e9))
        })())`
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      writers.push(child)
      if (child.stdout !== null) await once(child.stdout, 'data')
      return child
    }

    afterEach(() => {
      for (const child of writers.splice(0)) child.kill('SIGKILL')
    })

    it('stay as long as their process lives, and are removed when it was killed', async () => {
      const child = await writer()
      assert.deepEqual(await names(), [])
      assert.equal((await everything()).filter((name) => name.endsWith('.tmp')).length, 1)
      child.kill('SIGKILL')
      await once(child, 'exit')
      assert.deepEqual(await names(), [])
      assert.deepEqual(await everything(), ['a'])
      await store.save('a/object', body('x'))
      assert.deepEqual(await everything(), ['a', 'a/object'])
    })

    it('of another machine stay for a day', async () => {
      const foreign = temporaryName().replace(/[0-9a-f]{12}/, '0123456789ab')
      await writeFile(join(path, foreign), 'half')
      await names()
      assert.deepEqual(await everything(), [foreign])
      const yesterday = new Date(Date.now() - 25 * 3600 * 1000)
      await utimes(join(path, foreign), yesterday, yesterday)
      await names()
      assert.deepEqual(await everything(), [])
    })
  })

  describe('without permission', () => {
    const isRoot = process.getuid?.() === 0

    /** Runs `work` as a user to whom permissions apply; the superuser passes them all. */
    async function asUser<T>(work: () => Promise<T>): Promise<T> {
      if (isRoot) process.seteuid?.(65_534)
      try {
        return await work()
      } finally {
        if (isRoot) process.seteuid?.(0)
      }
    }

    it('tells who may not write, and where', async () => {
      await store.save('folder/object', body('x'))
      await chmod(path, 0o555)
      await chmod(join(path, 'folder'), 0o555)
      await asUser(async () => {
        await refused(store.save('folder/new', body('x')), 'STORAGE_DENIED', path, 'permission denied', 'user with id')
        await refused(store.save('new/object', body('x')), 'STORAGE_DENIED', path)
        await refused(store.delete('folder/object'), 'STORAGE_DENIED', path)
        await refused(store.copy('folder/object', 'folder/copy'), 'STORAGE_DENIED', path)
        assert.equal((await store.stat('folder/object')).size, 1)
      })
      assert.deepEqual(await names(), ['folder/object'])
      await chmod(path, 0o755)
      await chmod(join(path, 'folder'), 0o755)
    })

    it('tells who may not read, and where', async () => {
      await store.save('folder/object', body('x'))
      await chmod(path, 0o755)
      await chmod(join(path, 'folder', 'object'), 0)
      await asUser(() => refused(store.read('folder/object'), 'STORAGE_DENIED', 'permission denied'))
      await chmod(join(path, 'folder'), 0)
      await asUser(async () => {
        await refused(store.stat('folder/object'), 'STORAGE_DENIED', 'permission denied')
        await refused(all(store.list()), 'STORAGE_DENIED', 'permission denied')
        await refused(open(join(path, 'folder', 'new')), 'STORAGE_DENIED', 'permission denied')
      })
      await chmod(join(path, 'folder'), 0o755)
    })
  })
})
