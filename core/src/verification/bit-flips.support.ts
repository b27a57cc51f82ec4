import type { FaultyStore } from '../store/wrappers/faulty-store.support.js'

/** One bit of one object. */
export interface BitFlip {
  readonly object: string
  readonly byte: number
  readonly bit: number
}

/** A bit of any object whose name begins so; every object is as likely as another, however large. */
export function randomFlip(
  objects: ReadonlyMap<string, { readonly bytes: Buffer }>,
  below: (limit: number) => number,
): BitFlip {
  const names = [...objects.keys()].sort()
  const object = names[below(names.length)] ?? ''
  const bytes = objects.get(object)?.bytes ?? Buffer.alloc(0)
  return { object, byte: below(bytes.length), bit: below(8) }
}

/** The store with the bit changed for as long as `work` takes. */
export async function whileFlipped<T>(
  store: FaultyStore,
  { object, byte, bit }: BitFlip,
  work: () => Promise<T>,
): Promise<T> {
  const found = store.objects.get(object)
  if (found === undefined) throw new Error(`there is no ${object}`)
  const bytes = Buffer.from(found.bytes)
  bytes.writeUInt8(bytes.readUInt8(byte) ^ (1 << bit), byte)
  store.objects.set(object, { ...found, bytes })
  try {
    return await work()
  } finally {
    store.objects.set(object, found)
  }
}
