import { wrappedStore } from '@pbmkit/core'
import plugin, { type S3Options } from './index.js'

// Runs alone in its process, so that its memory is that of a transfer: prints by how many bytes it grew at the most.
const MIB = 1024 ** 2
const SIZE = 1024 * MIB

const options = JSON.parse(process.argv[2] ?? '') as S3Options
const context = { signal: new AbortController().signal, warn: console.error }
// As an agent has it: core has young buffers collected before they add up.
const store = wrappedStore(await plugin.open(options, context), context)

/** Before that the runtime compiles, and takes the memory for chunks that wait for its collector: once, not by size. */
const WARM = 32 * MIB

let before = 0
let most = 0
const look = (moved: number) => {
  const now = process.memoryUsage.rss()
  if (before === 0 && moved >= WARM) before = now
  most = Math.max(most, now)
}

if (process.argv[3] === 'up') {
  const chunk = Buffer.alloc(MIB, 'pbmkit')
  async function* body(): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < SIZE; sent += MIB) {
      look(sent)
      yield chunk
    }
  }
  await store.save('object', body())
} else {
  let read = 0
  for await (const chunk of await store.read('object')) {
    read += chunk.length
    look(read)
  }
  if (read !== SIZE) throw new Error(`${read} bytes were read`)
}
look(SIZE)
await store.close()
console.log(most - before)
