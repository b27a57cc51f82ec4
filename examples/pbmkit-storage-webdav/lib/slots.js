import { randomUUID } from 'node:crypto'
import { PluginError } from '@pbmkit/core/plugin'
import { isMissing, statusOf } from './errors.js'
import { folderOf, pathOf, unescaped } from './names.js'

const FOLDER = '/pbmkit.tmp'

/** What was found a moment ago is not there any more. */
export class Replaced extends Error {}

/**
 * Objects as files on the server. WebDAV lets a server delete the target of a MOVE before it puts the new file there, so
 * that a reader could meet nothing in between. Each object therefore has two slots, `.0` and `.1`, and the lower one
 * counts: a new version is moved into the empty slot, and the old one is deleted after it.
 */
export class Slots {
  /** @type {import('webdav').WebDAVClient} */
  #client
  /** Folders known to be there. @type {Map<string, Promise<void>>} */
  #folders = new Map()
  /** The last change of each object, so that changes of one object follow each other. @type {Map<string, Promise<unknown>>} */
  static #changes = new Map()

  /** @param {import('webdav').WebDAVClient} client */
  constructor(client) {
    this.#client = client
  }

  /** Makes what uploads need. */
  async prepare() {
    await this.#folder(FOLDER)
  }

  /**
   * Where an object is now, and its size; undefined when it is nowhere.
   * @param {string} name
   * @param {AbortSignal} [signal]
   * @returns {Promise<{ path: string, size: number } | undefined>}
   */
  async find(name, signal) {
    const path = pathOf(name)
    // Twice: between the first look and the second, a version may have gone from the one slot to the other.
    for (const slot of ['.0', '.1', '.0', '.1']) {
      try {
        // Not PROPFIND: of a file that goes away meanwhile, some servers answer that with a status of success.
        const { headers } = await this.#client.customRequest(path + slot, { method: 'HEAD', ...signalled(signal) })
        return { path: path + slot, size: Number(headers.get('content-length')) }
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    }
    return undefined
  }

  /**
   * Sends bytes to a file that nobody looks at, and answers its path.
   * @param {import('node:stream').Readable} body
   * @param {AbortSignal} signal
   */
  async upload(body, signal) {
    const path = `${FOLDER}/${randomUUID()}`
    try {
      await this.#client.putFileContents(path, body, { contentLength: false, overwrite: true, signal })
      return path
    } catch (error) {
      await this.discard(path)
      throw error
    }
  }

  /** @param {string} path */
  async discard(path) {
    await this.#client.deleteFile(path).catch(() => undefined)
  }

  /** A copy made by the server, at a path that nobody looks at. @param {string} path @param {AbortSignal} signal */
  async duplicate(path, signal) {
    const copy = `${FOLDER}/${randomUUID()}`
    await this.#client.copyFile(path, copy, signalled(signal))
    return copy
  }

  /** Makes an uploaded file the object, in one step for whoever looks. @param {string} uploaded @param {string} name */
  async show(uploaded, name) {
    await this.#changing(name, async () => {
      const path = pathOf(name)
      await this.#folder(path.slice(0, path.lastIndexOf('/')))
      try {
        await this.#client.moveFile(uploaded, `${path}.0`, { overwrite: false })
        await this.#client.deleteFile(`${path}.1`).catch(ifGone)
      } catch (error) {
        // 412: the lower slot is taken.
        if (statusOf(error) !== 412) throw error
        await this.#client.moveFile(uploaded, `${path}.1`)
        await this.#client.deleteFile(`${path}.0`).catch(ifGone)
      }
    })
  }

  /** Whether there was one. @param {string} name */
  async remove(name) {
    return this.#changing(name, async () => {
      const path = pathOf(name)
      let removed = 0
      // The upper slot first: deleting the lower one would bring back what lies in the upper.
      for (const slot of ['.1', '.0']) {
        try {
          await this.#client.deleteFile(path + slot)
          removed += 1
        } catch (error) {
          if (!isMissing(error)) throw error
        }
      }
      return removed > 0
    })
  }

  /**
   * Throws {@link Replaced} where another version is there by now.
   * @param {{ path: string, size: number }} found
   * @param {{ start: number, end: number }} range both inclusive
   * @param {AbortSignal} signal
   */
  async get({ path, size }, { start, end }, signal) {
    const headers = { Range: `bytes=${start}-${end}` }
    const response = await this.#client.customRequest(path, { method: 'GET', headers, signal })
    const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
    if (total !== undefined && Number(total) !== size) throw new Replaced('another version is there')
    if (response.status !== 206 && start > 0)
      throw new PluginError('STORAGE_NOT_SUPPORTED', 'the server does not know ranges')
    return /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (response.body))
  }

  /**
   * Every object whose name begins with `prefix`, folder by folder.
   * @param {string} prefix
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<{ name: string, size: number }>}
   */
  async *list(prefix, signal) {
    const start = folderOf(prefix)
    const above = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    const folders = [{ path: start, name: above }]
    for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
      /** @type {Map<string, { size: number, slot: string }>} */
      const objects = new Map()
      for (const { basename, type, size } of await this.#contents(folder.path, signal)) {
        const [, text = '', slot = ''] = /^(.*)\.(0|1|d)$/.exec(basename) ?? []
        const segment = unescaped(text)
        if (segment === undefined) continue
        const name = folder.name + segment
        if (type === 'directory' && slot === 'd') {
          const inside = `${name}/`
          if (inside.startsWith(prefix) || prefix.startsWith(inside))
            folders.push({ path: `${folder.path.replace(/\/$/, '')}/${basename}`, name: inside })
        } else if (type === 'file' && slot !== 'd' && name.startsWith(prefix) && objects.get(name)?.slot !== '0')
          objects.set(name, { size, slot })
      }
      for (const [name, { size }] of objects) yield { name, size }
    }
  }

  /** @param {string} path @param {AbortSignal} signal */
  async #contents(path, signal) {
    try {
      return /** @type {import('webdav').FileStat[]} */ (
        await this.#client.getDirectoryContents(path, signalled(signal))
      )
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }

  /** @param {string} path */
  #folder(path) {
    if (path === '') return Promise.resolve()
    const made =
      this.#folders.get(path) ??
      this.#folder(path.slice(0, path.lastIndexOf('/'))).then(() => this.#client.createDirectory(path).catch(ifThere))
    this.#folders.set(path, made)
    made.catch(() => this.#folders.delete(path))
    return made
  }

  /**
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} change
   * @returns {Promise<T>}
   */
  #changing(name, change) {
    const key = this.#client.getFileDownloadLink(pathOf(name)).replace(/\/\/[^/@]*@/, '//')
    const before = Slots.#changes.get(key) ?? Promise.resolve()
    const done = before.then(change, change)
    const settled = done.catch(() => undefined)
    Slots.#changes.set(key, settled)
    void settled.then(() => {
      if (Slots.#changes.get(key) === settled) Slots.#changes.delete(key)
    })
    return done
  }
}

/** @param {AbortSignal | undefined} signal */
function signalled(signal) {
  return signal === undefined ? {} : { signal }
}

/** 405 is what a server answers to MKCOL where there is something already. @param {unknown} error */
function ifThere(error) {
  if (statusOf(error) !== 405) throw error
}

/** @param {unknown} error */
function ifGone(error) {
  if (!isMissing(error)) throw error
}
