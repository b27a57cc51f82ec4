import { closeSync, openSync } from 'node:fs'
import {
  type ListOptions,
  type ObjectInfo,
  PluginError,
  type ReadOptions,
  type SaveOptions,
  type StoragePlugin,
} from '@pbmkit/core/plugin'
import { type KeptObject, MemoryStore, memoryPlugin, type Objects, reference } from './reference-storage.js'

/** A store that is wrong in one way, and the case of the suite that must find it. */
export interface BrokenStorage {
  // biome-ignore lint/suspicious/noExplicitAny: as the suite takes it
  readonly plugin: StoragePlugin<any>
  readonly caught: string
}

type Bytes = AsyncIterable<Uint8Array>

function broken(caught: string, Fault: new (objects: Objects, process: AbortSignal) => MemoryStore): BrokenStorage {
  return { caught, plugin: memoryPlugin((objects, { signal }) => new Fault(objects, signal)) }
}

async function gather(body: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const kept = (bytes: Uint8Array): KeptObject => ({ chunks: [bytes], size: bytes.length, modifiedAt: new Date() })

class ShowsParts extends MemoryStore {
  override async save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    this.check(options?.signal, name)
    const { objects } = this
    async function* shown(): AsyncGenerator<Uint8Array> {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) {
        chunks.push(chunk)
        objects.set(name, kept(Buffer.concat(chunks)))
        yield chunk
      }
    }
    return super.save(name, shown(), options)
  }
}

class DropsTheOldFirst extends MemoryStore {
  override async save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    this.check(options?.signal, name)
    if (options?.ifAbsent !== true) this.objects.delete(name)
    return super.save(name, body, options)
  }
}

class KeepsHalf extends MemoryStore {
  override async save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    const chunks: Uint8Array[] = []
    async function* watched(): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) {
        chunks.push(chunk)
        yield chunk
      }
    }
    try {
      return await super.save(name, watched(), options)
    } catch (error) {
      if (chunks.length > 0) this.objects.set(name, kept(Buffer.concat(chunks)))
      throw error
    }
  }
}

class BuffersWhole extends MemoryStore {
  override async save(name: string, body: Bytes, options: SaveOptions = {}): Promise<ObjectInfo> {
    this.check(options.signal, name)
    return this.keep(name, kept(await gather(body)), options)
  }
}

class WrapsErrorsOfBodies extends MemoryStore {
  override async save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    try {
      return await super.save(name, body, options)
    } catch (cause) {
      if (cause instanceof PluginError) throw cause
      throw new PluginError('STORAGE_UNAVAILABLE', 'upload failed', { cause })
    }
  }
}

class IgnoresAborts extends MemoryStore {
  override save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    this.check(options?.signal, name)
    return super.save(name, body, { ...options, signal: undefined })
  }
}

class ReadsPastAborts extends MemoryStore {
  override async read(name: string, options?: ReadOptions): Promise<Bytes> {
    this.check(options?.signal, name)
    return super.read(name, { ...options, signal: undefined })
  }
}

class TakesAnyName extends MemoryStore {
  override checkName(): void {}
}

class CleansNames extends MemoryStore {
  override checkName(name: string): void {
    super.checkName(name.replace(/^\.\//, '').replaceAll('/./', '/'))
  }
}

class LimitsNames extends MemoryStore {
  override checkName(name: string): void {
    super.checkName(name)
    if (Buffer.byteLength(name) > 1000) throw new PluginError('STORAGE_INVALID_NAME', 'too long')
  }
}

class DecodesNames extends MemoryStore {
  override save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    return super.save(name.replaceAll('%2F', '/'), body, options)
  }
}

class ForgetsCase extends MemoryStore {
  override save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    return super.save(name.toLowerCase(), body, options)
  }

  override require(name: string): KeptObject {
    return super.require(name.toLowerCase())
  }
}

class HidesEmptyObjects extends MemoryStore {
  override async *list(options?: ListOptions): AsyncGenerator<ObjectInfo> {
    for await (const info of super.list(options)) if (info.size > 0) yield info
  }
}

class ReadsEmptyObjects extends MemoryStore {
  override requireBytes(name: string): KeptObject {
    return this.require(name)
  }
}

class ListsOnePage extends MemoryStore {
  override async *list(options?: ListOptions): AsyncGenerator<ObjectInfo> {
    let left = 1000
    for await (const info of super.list(options)) if (left-- > 0) yield info
  }
}

class ListsTwice extends MemoryStore {
  override async *list(options?: ListOptions): AsyncGenerator<ObjectInfo> {
    let count = 0
    for await (const info of super.list(options)) {
      yield info
      if (++count % 1000 === 0) yield info
    }
  }
}

class ListsFolders extends MemoryStore {
  override list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const { prefix = '' } = options
    return super.list({ ...options, prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/` })
  }
}

class ListsRelativeNames extends MemoryStore {
  override async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const cut = (options.prefix ?? '').lastIndexOf('/') + 1
    for await (const info of super.list(options)) yield { ...info, name: info.name.slice(cut) }
  }
}

class DeletesFolders extends MemoryStore {
  override async delete(name: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    this.check(options.signal, name)
    const found = [...this.objects.keys()].filter((each) => each === name || each.startsWith(`${name}/`))
    if (found.length === 0) this.require(name)
    for (const each of found) this.objects.delete(each)
  }
}

class DeletesQuietly extends MemoryStore {
  override async delete(name: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    this.check(options.signal, name)
    this.objects.delete(name)
  }
}

class CopiesByName extends MemoryStore {
  readonly #links: Map<string, string> = new Map()

  override async copy(source: string, target: string, options?: SaveOptions): Promise<ObjectInfo> {
    const info = await super.copy(source, target, options)
    if (source !== target) this.#links.set(target, source)
    return info
  }

  override require(name: string): KeptObject {
    return super.require(this.#links.get(name) ?? name)
  }
}

class OverwritesIfAbsent extends MemoryStore {
  override save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    return super.save(name, body, { ...options, ifAbsent: false })
  }
}

class ChecksIfAbsentFirst extends MemoryStore {
  override async save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    this.check(options?.signal, name)
    if (options?.ifAbsent === true && this.objects.has(name)) throw new PluginError('STORAGE_EXISTS', `${name} exists`)
    return super.save(name, body, { ...options, ifAbsent: false })
  }
}

class HidesIfAbsent extends MemoryStore {
  override readonly capabilities = { ifAbsent: false, serverSideCopy: true, modifiedAt: true }
}

class CountsLengthAsEnd extends MemoryStore {
  override read(name: string, options: ReadOptions = {}): Promise<Bytes> {
    const { offset = 0, length } = options
    return super.read(name, length === undefined ? options : { ...options, length: Math.max(1, length - offset) })
  }
}

class ReadsPastTheEnd extends MemoryStore {
  override async read(name: string, options: ReadOptions = {}): Promise<Bytes> {
    this.check(options.signal, name)
    const { size } = this.requireBytes(name)
    if ((options.offset ?? 0) < size) return super.read(name, options)
    return (async function* (): AsyncGenerator<Uint8Array> {})()
  }
}

class FailsWhileReading extends MemoryStore {
  override async read(name: string, options?: ReadOptions): Promise<Bytes> {
    const opening = () => super.read(name, options)
    return (async function* () {
      yield* await opening()
    })()
  }
}

class ReusesItsBuffer extends MemoryStore {
  override async *bytes(...args: Parameters<MemoryStore['bytes']>): AsyncGenerator<Uint8Array> {
    const buffer = Buffer.alloc(65_536)
    for await (const chunk of super.bytes(...args)) {
      for (let at = 0; at < chunk.length; at += buffer.length) {
        const part = chunk.subarray(at, at + buffer.length)
        buffer.set(part)
        yield buffer.subarray(0, part.length)
      }
    }
  }
}

class StaysOpen extends MemoryStore {
  override async close(): Promise<void> {}
}

class ClosesTheServer extends MemoryStore {
  override async close(): Promise<void> {
    this.objects.clear()
    this.closed = true
  }
}

class TellsNoProgress extends MemoryStore {
  override save(name: string, body: Bytes, options?: SaveOptions): Promise<ObjectInfo> {
    return super.save(name, body, { ...options, onProgress: undefined })
  }
}

class TellsTimesAsNumbers extends MemoryStore {
  override async stat(name: string, options?: { signal?: AbortSignal }): Promise<ObjectInfo> {
    const info = await super.stat(name, options)
    return { ...info, modifiedAt: (info.modifiedAt?.getTime() ?? 0) as unknown as Date }
  }
}

class ThrowsTexts extends MemoryStore {
  override require(name: string): KeptObject {
    const found = this.objects.get(name)
    if (found === undefined) throw { code: 'STORAGE_NOT_FOUND', retriable: false }
    return found
  }
}

/** Closes what it reads from only at its end. */
class LeaksReads extends MemoryStore {
  override async *bytes(...args: Parameters<MemoryStore['bytes']>): AsyncGenerator<Uint8Array> {
    const file = openSync(import.meta.filename, 'r')
    yield* super.bytes(...args)
    closeSync(file)
  }
}

/** Has a file for what it writes, which stays open when that comes to nothing. */
class LeaksSaves extends MemoryStore {
  override async save(...args: Parameters<MemoryStore['save']>): Promise<ObjectInfo> {
    const file = openSync(import.meta.filename, 'r')
    const info = await super.save(...args)
    closeSync(file)
    return info
  }
}

class LeaksConnections extends MemoryStore {
  readonly connection = openSync(import.meta.filename, 'r')
}

export const BROKEN_STORAGES: Readonly<Record<string, BrokenStorage>> = {
  'shows parts of an object that is written': broken(
    'shows nothing of an object while 100000 bytes of it are written',
    ShowsParts,
  ),
  'drops the old object before the new one is whole': broken(
    'shows the old object while 100000 bytes of the new one are written',
    DropsTheOldFirst,
  ),
  'keeps half an object when the body fails': broken(
    'passes on the error of a body that fails after some bytes, and leaves nothing',
    KeepsHalf,
  ),
  'holds a whole object in memory': broken('saves, copies and reads 256 MiB with bounded memory', BuffersWhole),
  'wraps errors of bodies': broken(
    'passes on the error of a body that fails at once, and leaves nothing',
    WrapsErrorsOfBodies,
  ),
  'goes on saving after an abort': broken('ends a save between two chunks and keeps the old object', IgnoresAborts),
  'goes on reading after an abort': broken('ends a read between two chunks', ReadsPastAborts),
  'takes any name': broken('save refuses the name "../outside"', TakesAnyName),
  'cleans names up': broken('stat refuses the name "./here"', CleansNames),
  'refuses long names': broken('keeps a name of 1,024 bytes in ASCII characters', LimitsNames),
  'decodes names': broken('keeps an object called "%2F"', DecodesNames),
  'forgets letter case': broken('keeps names apart that differ by case only', ForgetsCase),
  'hides objects of zero bytes': broken('lists sizes, of zero bytes too', HidesEmptyObjects),
  'reads objects of zero bytes': broken(
    'read refuses an object of zero bytes before any byte flows',
    ReadsEmptyObjects,
  ),
  'lists only the first page': broken('lists 3,000 objects, each once', ListsOnePage),
  'lists the first of each page twice': broken('lists 2,500 objects of one folder, each once', ListsTwice),
  'takes a prefix for a folder': broken('lists what begins with "a/1"', ListsFolders),
  'lists names relative to the prefix': broken('lists what begins with "a/b/"', ListsRelativeNames),
  'deletes whole folders': broken('delete refuses a folder of objects, and none of them goes', DeletesFolders),
  'deletes what is not there': broken('delete refuses missing, which is not there', DeletesQuietly),
  'copies the name and not the bytes': broken('a copy stays when its source is replaced and deleted', CopiesByName),
  'overwrites in spite of ifAbsent': broken(
    'ifAbsent keeps the object that is there, or is not supported',
    OverwritesIfAbsent,
  ),
  'looks and then saves for ifAbsent': broken(
    'ifAbsent lets one of many at once win, or none where it is not supported',
    ChecksIfAbsentFirst,
  ),
  'supports ifAbsent and denies it': broken('ifAbsent saves a new object, or is not supported', HidesIfAbsent),
  'takes a length for an end': broken('reads 65536 bytes from 65536', CountsLengthAsEnd),
  'reads nothing past the end': broken('refuses to read all bytes from 3145745 of 3145745', ReadsPastTheEnd),
  'tells what is missing only while it is read': broken(
    'read refuses missing, which is not there, before any byte flows',
    FailsWhileReading,
  ),
  'reuses its buffer': broken('gives chunks that stay as they are while more is read', ReusesItsBuffer),
  'works on when it is closed': broken('stat is refused once the store is closed', StaysOpen),
  'closes for everyone': broken('keeps what was saved when it is closed and opened again', ClosesTheServer),
  'keeps open what it read from': broken('holds no file and no connection for reads that are broken off', LeaksReads),
  'keeps open what it wrote to': broken('holds no file and no connection for saves whose body fails', LeaksSaves),
  'keeps its connection when it is closed': broken(
    'holds no file and no connection once it is closed',
    LeaksConnections,
  ),
  'tells no progress': broken('tells the progress of saving 100000 bytes', TellsNoProgress),
  'tells times as numbers': broken('tells when an object was saved, everywhere or nowhere', TellsTimesAsNumbers),
  'throws what is no Error': broken('stat refuses missing, which is not there', ThrowsTexts),
  'shows a secret out of a list of maps': {
    caught: 'describes its place in a text without secrets',
    plugin: { ...reference, describe: ({ place, servers }) => `${place} ${servers[0]?.headers.pin}` },
  },
  'takes unknown options': {
    caught: 'is a storage plugin of this API version',
    plugin: {
      ...reference,
      optionsSchema: { type: 'object', properties: {} } as unknown as StoragePlugin['optionsSchema'],
    },
  },
}
