import assert from 'node:assert/strict'
import { Queue } from './queue.js'

describe('queue', () => {
  it('yields in order what came before and during the reading, and ends', async () => {
    const queue = new Queue<number>()
    queue.push(1)
    const read: number[] = []
    const reading = (async () => {
      for await (const item of queue) {
        read.push(item)
        if (item === 4) queue.end()
      }
    })()
    queue.push(2)
    setImmediate(() => {
      queue.push(3)
      queue.push(4)
      queue.push(5)
    })
    await reading
    assert.deepEqual(read, [1, 2, 3, 4])
  })

  it('drops what waits', async () => {
    const queue = new Queue<number>()
    for (const item of [1, 2, 3]) queue.push(item)
    queue.drop((item) => item === 2)
    const read: number[] = []
    for await (const item of queue) {
      read.push(item)
      if (item === 3) break
    }
    assert.deepEqual(read, [1, 3])
  })
})
