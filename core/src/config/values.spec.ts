import assert from 'node:assert/strict'
import { Double, Int32, Long } from 'bson'
import fc from 'fast-check'
import { Document } from 'yaml'
import { applySettings, parseSetting } from '../control/config-keys.js'
import { cloud, host } from './config.support.js'
import { parseConfig } from './parse.js'
import { configSchema } from './schema.js'
import { toWire } from './values.js'

const base = parseConfig('storage: {type: cloud, cloud: {bucket: b}}', host)
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((value) => value.isWellFormed())
// JSON has no negative zero to compare with.
const number = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => value + 0)
const hostName = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}:[0-9]{1,5}$/)

describe('values of the configuration', () => {
  it('come out of a setting as they went in', async () => {
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.integer({ min: 0, max: 2_147_483_647 }),
        hostName,
        number,
        async (prefix, count, member, priority) => {
          const assignments = [
            `restore.mongodLocation=${prefix}`,
            `restore.batchSize=${count}`,
            `backup.priority.${member}=${priority}`,
          ]
          const { config } = await applySettings(await base, assignments.map(parseSetting), host)
          assert.deepEqual(config.restore, { mongodLocation: prefix, batchSize: count })
          assert.deepEqual(config.backup?.priority, { [member]: Number(String(priority)) })
        },
      ),
      { numRuns: 200 },
    )
  })

  it('come out of a file as they went in', async () => {
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.dictionary(hostName, number),
        fc.boolean(),
        async (mongodLocation, priority, enabled) => {
          const written = {
            storage: { type: 'cloud', cloud: { bucket: 'b' } },
            pitr: { enabled },
            backup: { priority },
            restore: { mongodLocation },
          }
          const { epoch, ...read } = await parseConfig(String(new Document(written)), host)
          assert.deepEqual(read, JSON.parse(JSON.stringify(written)))
        },
      ),
      { numRuns: 200 },
    )
  })

  it('writes the types that PBM writes', () => {
    const config = {
      storage: { type: 'cloud', cloud: { partSize: 10, maxObjSizeGB: 1 } },
      backup: { oplogSpanMin: 10, compressionLevel: 3, priority: { 'h:1': 1 }, timeouts: { startingStatus: 60 } },
      newer: 5,
    }
    const wire = toWire(config, configSchema(cloud)) as typeof config
    assert.deepEqual(wire.backup, {
      oplogSpanMin: new Double(10),
      compressionLevel: new Int32(3),
      priority: { 'h:1': new Double(1) },
      timeouts: { startingStatus: Long.fromNumber(60) },
    })
    assert.deepEqual(wire.storage.cloud, { partSize: new Int32(10), maxObjSizeGB: new Double(1) })
    assert.equal(wire.newer, 5)
  })
})
