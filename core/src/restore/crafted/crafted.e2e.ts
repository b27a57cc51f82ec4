import assert from 'node:assert/strict'
import { fixturesFolder, seededRandom } from '@pbmkit/conformance/testbed'
import { CraftedBench, type Verdict } from './crafted.support.js'
import { startReplicaSetTarget, startShardedTarget } from './target.support.js'

/** `npm run crafted -- --count N --seed S --target T` sets them. */
const { PBMKIT_CRAFTED_COUNT, PBMKIT_CRAFTED_SEED, PBMKIT_CRAFTED_TARGET } = process.env
const SEED = Number(PBMKIT_CRAFTED_SEED ?? 20_311)
const IS_LONG = PBMKIT_CRAFTED_COUNT !== undefined

const TARGETS = [
  { name: 'set', title: 'a replica set', count: 24, start: startReplicaSetTarget },
  { name: 'cluster', title: 'a sharded cluster', count: 4, start: startShardedTarget },
]

/** Whatever lies on a storage: nothing crashes, nothing is written where no restore may, and what reads as done is right. */
for (const target of TARGETS) {
  if (PBMKIT_CRAFTED_TARGET !== undefined && PBMKIT_CRAFTED_TARGET !== target.name) continue
  describe(`Storages that somebody has crafted, before ${target.title}`, () => {
    if (fixturesFolder() === undefined) return
    const count = Number(PBMKIT_CRAFTED_COUNT ?? target.count)
    let bench: CraftedBench
    before(async () => {
      bench = await CraftedBench.start(await target.start())
    })
    after(async () => {
      await bench?.stop()
    })

    it(`are listed, refused or restored: ${count}, seed ${SEED}`, async function () {
      if (IS_LONG) this.timeout(0)
      const bad: string[] = []
      const outcomes = new Map<string, number>()
      let slowest: Verdict | undefined
      for (let index = 0; index < count; index++) {
        const base = bench.bases[(SEED + index) % bench.bases.length]
        if (base === undefined) continue
        const verdict = await bench.run(base, seededRandom(SEED + index))
        const { title, outcome, faults, crafted, blockedMs } = verdict
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        if (blockedMs > (slowest?.blockedMs ?? 0)) slowest = verdict
        const told = `seed ${SEED + index}, ${title}: ${crafted.what} → ${outcome}`
        if (faults.length > 0) bad.push(`${told}\n    ${faults.slice(0, 5).join('\n    ')}`)
        if (IS_LONG) console.log(faults.length > 0 ? `BAD ${bad.at(-1)}` : `ok ${told.slice(0, 300)} ${blockedMs} ms`)
      }
      if (IS_LONG) console.log(Object.fromEntries(outcomes), slowest)
      assert.deepEqual(bad, [])
    })
  })
}
