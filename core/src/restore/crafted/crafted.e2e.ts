import assert from 'node:assert/strict'
import { fixturesFolder, seededRandom } from '@pbmkit/conformance/testbed'
import { CraftedBench, type Verdict } from './crafted.support.js'

/** `npm run crafted -- --count N --seed S` sets them. */
const COUNT = Number(process.env.PBMKIT_CRAFTED_COUNT ?? 24)
const SEED = Number(process.env.PBMKIT_CRAFTED_SEED ?? 20_311)
const IS_LONG = process.env.PBMKIT_CRAFTED_COUNT !== undefined

/** Whatever lies on a storage: nothing crashes, nothing is written where no restore may, and what reads as done is right. */
describe('Storages that somebody has crafted', () => {
  if (fixturesFolder() === undefined) return
  let bench: CraftedBench
  before(async () => {
    bench = await CraftedBench.start()
  })
  after(async () => {
    await bench?.stop()
  })

  it(`are listed, refused or restored: ${COUNT}, seed ${SEED}`, async function () {
    if (IS_LONG) this.timeout(0)
    const bad: string[] = []
    const outcomes = new Map<string, number>()
    let slowest: Verdict | undefined
    for (let index = 0; index < COUNT; index++) {
      const base = bench.bases[index % bench.bases.length]
      if (base === undefined) continue
      const verdict = await bench.run(base, seededRandom(SEED + index))
      const { outcome, faults, crafted, blockedMs } = verdict
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      if (blockedMs > (slowest?.blockedMs ?? 0)) slowest = verdict
      const told = `seed ${SEED + index}, number ${index}, ${base.title}: ${crafted.what} → ${outcome}`
      if (faults.length > 0) bad.push(`${told}\n    ${faults.slice(0, 5).join('\n    ')}`)
      if (IS_LONG) console.log(faults.length > 0 ? `BAD ${bad.at(-1)}` : `ok ${told.slice(0, 300)} ${blockedMs} ms`)
    }
    if (IS_LONG) console.log(Object.fromEntries(outcomes), slowest)
    assert.deepEqual(bad, [])
  })
})
