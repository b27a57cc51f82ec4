import { randomBytes } from 'node:crypto'
import { type ObjectStore, PbmError } from '@pbmkit/core'

const MIB = 1024 * 1024
const SMALL_OBJECTS = 64
const SMALL_BYTES = 1024
const SMALL_WIDTH = 8

export interface Speed {
  /** Of the one object that is moved. */
  readonly bytes: number
  readonly upBytesPerSecond: number
  readonly downBytesPerSecond: number
  /** 1 KiB each, 8 at a time, saved. */
  readonly smallObjectsPerSecond: number
}

/** Moves one object of `bytes` up and down, and small ones up. Rejects with what the storage says, and DATA_DIFFERS. */
export async function measureSpeed(store: ObjectStore, bytes: number, signal: AbortSignal): Promise<Speed> {
  // Random, so that no storage can compress it or find it a copy of itself.
  const chunk = randomBytes(4 * MIB)
  const up = await seconds(() => store.save('speed', repeated(chunk, bytes), { signal, sizeHint: bytes }))
  const down = await seconds(async () => {
    let position = 0
    for await (const part of await store.read('speed', { signal })) {
      const at = position % chunk.length
      const head = part.subarray(0, chunk.length - at)
      if (Buffer.compare(head, chunk.subarray(at, at + head.length)) !== 0)
        throw new PbmError('DATA_DIFFERS', `what was read differs from what was saved, near byte ${position}`)
      position += part.length
    }
    if (position !== bytes) throw new PbmError('DATA_DIFFERS', `${bytes} bytes were saved, and ${position} came back`)
  })
  await store.delete('speed', { signal })
  const names = Array.from({ length: SMALL_OBJECTS }, (_, index) => `small/${index}`)
  const small = chunk.subarray(0, SMALL_BYTES)
  const many = await seconds(async () => {
    const left = [...names]
    const work = async () => {
      for (let name = left.pop(); name !== undefined; name = left.pop())
        await store.save(name, repeated(small, SMALL_BYTES), { signal })
    }
    await Promise.all(Array.from({ length: SMALL_WIDTH }, work))
  })
  return {
    bytes,
    upBytesPerSecond: Math.round(bytes / up),
    downBytesPerSecond: Math.round(bytes / down),
    smallObjectsPerSecond: Math.round(SMALL_OBJECTS / many),
  }
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint()
  await work()
  return Math.max(Number(process.hrtime.bigint() - start) / 1e9, 1e-6)
}

async function* repeated(chunk: Buffer, bytes: number): AsyncGenerator<Buffer> {
  for (let left = bytes; left > 0; left -= chunk.length) yield left >= chunk.length ? chunk : chunk.subarray(0, left)
}
