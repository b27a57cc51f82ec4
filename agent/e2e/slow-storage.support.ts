import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@pbmkit/conformance/testbed'

/** A storage plugin of its own that is the filesystem one, slowed down: each chunk written or read takes a while. */
export async function slowStoragePlugin(): Promise<string> {
  const folder = await temporaryFolder('pbmkit-slow-plugin-')
  const target = join(folder, 'node_modules', 'pbmkit-storage-slow')
  await mkdir(target, { recursive: true })
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'plugins', dependencies: { 'pbmkit-storage-slow': '*' } }),
  )
  await writeFile(
    join(target, 'package.json'),
    JSON.stringify({
      name: 'pbmkit-storage-slow',
      version: '1.0.0',
      type: 'module',
      exports: './index.js',
      keywords: ['pbmkit-plugin'],
    }),
  )
  const filesystem = import.meta.resolve('@pbmkit/storage-filesystem')
  await writeFile(join(target, 'index.js'), slowPluginSource(filesystem))
  return folder
}

function slowPluginSource(filesystem: string): string {
  return `
import filesystem from ${JSON.stringify(filesystem)}
import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

// While the file '<path>.hold-<place>' stands, objects of that place do not go on ('<path>.hold-<place>.<pid>': those of
// that process); while '<path>.<code>' does, all fail; deleting too, when it is unavailable; while '<path>.read-only' does,
// nothing is saved. While there is a folder '<path>.unmounted', it stands in the place of the storage.
const places = {
  init: /^\\.pbm\\.init$/,
  types: /\\/(work\\.types|s1\\/bank\\.accounts)\\./,
  list: /\\/(rs0|s1)\\/metadata\\.json$/,
  oplog: /\\/(rs0|s1)\\/oplog\\//,
  record: /\\.pbm\\.json$/,
  chunk: /^pbmPitr\\//,
  everything: /./,
}
const faults = ['STORAGE_NO_SPACE', 'STORAGE_DENIED', 'STORAGE_UNAVAILABLE']
const fail = (code, name) => {
  throw Object.assign(new Error('the test says so: ' + name), { code, retriable: false })
}
const held = (path, name, signal) => async () => {
  for (;;) {
    signal?.throwIfAborted()
    for (const code of faults) {
      if (existsSync(path + '.' + code)) fail(code, name)
    }
    const holds = Object.entries(places).filter(([, pattern]) => pattern.test(name))
    const isHeld = ([place]) => ['', '.' + process.pid].some((end) => existsSync(path + '.hold-' + place + end))
    if (!holds.some(isHeld)) return
    if (!existsSync(path + '.held')) writeFileSync(path + '.held', name)
    await sleep(20)
  }
}
async function* slowly(source, wait) {
  await wait()
  for await (const chunk of source) {
    await wait()
    yield chunk
  }
  await wait()
}
export default {
  ...filesystem,
  name: 'slow',
  async open(options, context) {
    const store = await filesystem.open(options, context)
    const unmounted = options.path + '.unmounted'
    const at = async () => existsSync(unmounted) ? filesystem.open({ ...options, path: unmounted }, context) : store
    return new Proxy(store, {
      get(target, key) {
        if (key === 'save') return async (name, body, call) => {
          if (existsSync(options.path + '.read-only')) fail('STORAGE_DENIED', name)
          return (await at()).save(name, slowly(body, held(options.path, name, call?.signal)), call)
        }
        if (key === 'read') return async (name, call) =>
          slowly(await (await at()).read(name, call), held(options.path, name, call?.signal))
        if (key === 'delete') return async (name, call) => {
          if (existsSync(options.path + '.STORAGE_UNAVAILABLE')) fail('STORAGE_UNAVAILABLE', name)
          return (await at()).delete(name, call)
        }
        if (key === 'stat') return async (...args) => (await at()).stat(...args)
        if (key === 'list') return async function* (options) { yield* (await at()).list(options) }
        const value = target[key]
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  },
}
`
}
