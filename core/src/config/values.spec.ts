import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Document } from 'yaml'
import { applySettings, parseSetting } from '../control/config-keys.js'
import { host } from './config.support.js'
import { parseConfig } from './parse.js'

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
})
