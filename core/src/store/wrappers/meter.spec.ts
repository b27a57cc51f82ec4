import assert from 'node:assert/strict'
import { chunked, FaultyStore, failing, gathered, LeapingClock, namesIn } from './faulty-store.support.js'
import { Meter, meteredStore, transferOf, transferText } from './meter.js'
import { retriedStore } from './retry.js'

describe('meteredStore', () => {
  it('counts calls, bytes, errors, failures tried again, and the time in which something was under way', async () => {
    const clock = new LeapingClock()
    const store = new FaultyStore()
    const meter = new Meter(clock)
    const signal = new AbortController().signal
    const retried = retriedStore(store, { clock, signal, random: () => 1, onRetry: () => meter.countRetry() })
    const metered = meteredStore(retried, meter)
    const open = new Map<string, () => void>()
    const held = (name: string) =>
      metered.save(
        name,
        (async function* () {
          yield* chunked('0123456789', 4)
          await new Promise<void>((resolve) => open.set(name, resolve))
        })(),
      )
    const saves = ['a', 'b'].map(held)
    while (open.size < 2) await new Promise((resolve) => setImmediate(resolve))
    clock.time += 1_000
    assert.equal(metered.figures?.().save.busyMs, 1_000, 'one time for both')
    for (const goOn of open.values()) goOn()
    await Promise.all(saves)
    clock.time += 5_000

    store.fault = failing(1, (call, { moved }) => call === 'save' && moved > 5)
    await metered.save('c', chunked('0123456789', 4))
    assert.equal(await gathered(metered.read('a')), '0123456789')
    await metered.copy('a', 'd')
    await metered.delete('d')
    await assert.rejects(metered.stat('none'))
    await assert.rejects(metered.read('none'))
    assert.equal((await namesIn(metered.list())).length, 3)

    const figures = metered.figures?.()
    assert.deepEqual(figures, {
      save: { calls: 3, errors: 0, bytes: 30, busyMs: 1_200 },
      read: { calls: 2, errors: 1, bytes: 10, busyMs: 0 },
      stat: { calls: 1, errors: 1, bytes: 0, busyMs: 0 },
      list: { calls: 1, errors: 0, bytes: 0, busyMs: 0 },
      delete: { calls: 1, errors: 0, bytes: 0, busyMs: 0 },
      copy: { calls: 1, errors: 0, bytes: 10, busyMs: 0 },
      retries: 1,
    })
    assert.deepEqual(transferOf(figures), { objects: 3, bytes: 30, millis: 1_200, retries: 1 })
  })

  it('says it in a line', () => {
    const none = { calls: 0, errors: 0, bytes: 0, busyMs: 0 }
    const nothing = { save: none, read: none, stat: none, list: none, delete: none, copy: none, retries: 0 }
    assert.equal(transferText(nothing), '')
    assert.equal(transferText(undefined), '')
    const save = { calls: 36, errors: 1, bytes: 50 * 1024 ** 2, busyMs: 2_000 }
    assert.equal(transferText({ ...nothing, save }), 'stored 35 objects, 50.0 MiB at 25.0 MiB/s')
    const read = { calls: 1, errors: 0, bytes: 1_000, busyMs: 1_000 }
    assert.equal(
      transferText({ ...nothing, read, retries: 2 }),
      'read 1 objects, 0.001 MiB at 0.001 MiB/s; 2 failures were tried again',
    )
  })

  it('knows nothing of other stores', () => {
    assert.equal(transferOf(undefined), undefined)
  })
})
