import assert from 'node:assert/strict'
import { MongoClient } from 'mongodb'
import pino from 'pino'
import { openLog } from './log-writer.js'

describe('A log', () => {
  it('takes whatever it is given', async () => {
    const lines: string[] = []
    const local = pino({ level: 'debug', base: null }, { write: (line: string) => lines.push(line) })
    // Never connected: nothing listens there.
    const leader = new MongoClient('mongodb://127.0.0.1:1/', { serverSelectionTimeoutMS: 1 })
    const log = openLog({ leader, local, self: { rs: 'rs0', node: 'a:1' } })
    const odd: unknown[] = [{ a: 2 }, { toString: 1 }, Object.create(null), null, 7, ['a']]
    for (const value of odd) {
      const operation = log.operation({ event: 'backup', object: value as string })
      operation.debug(value as string)
      operation.info(value as string)
      operation.warning(value as string)
      operation.error(value as string)
    }
    await log.close(1)
    await leader.close()
    assert.ok(lines.length >= odd.length * 4)
  })
})
