import assert from 'node:assert/strict'
import { WriteBatches } from './write-batch.js'

const FULL = 1024 * 1024

function filled(batches: WriteBatches, ...parts: string[]) {
  const batch = batches.begin()
  for (const part of parts) batches.append(batch, Buffer.from(part))
  return batch
}

describe('WriteBatches', () => {
  it('hold what was appended, however they grew', () => {
    const parts = Array.from({ length: 40 }, (_, index) => String(index % 10).repeat(20_000))
    const batch = filled(new WriteBatches(FULL), ...parts)
    assert.equal(batch.memory.toString('latin1', 0, batch.bytes), parts.join(''))
    assert.ok(batch.memory.length <= FULL)
  })

  it('use memory again, but only of batches that ended', () => {
    const batches = new WriteBatches(FULL)
    const first = filled(batches, 'first')
    const second = filled(batches, 'second')
    assert.notEqual(second.memory.buffer, first.memory.buffer)
    batches.end(second)
    const third = filled(batches, 'third')
    assert.equal(third.memory, second.memory)
    assert.equal(third.memory.toString('latin1', 0, third.bytes), 'third')
    assert.equal(first.memory.toString('latin1', 0, first.bytes), 'first')
  })

  it('take a document larger than a batch, whose memory is not kept', () => {
    const batches = new WriteBatches(FULL)
    const large = filled(batches, 'x'.repeat(2 * FULL))
    assert.equal(large.bytes, 2 * FULL)
    batches.end(large)
    assert.equal(batches.begin().memory.length, 0)
  })
})
