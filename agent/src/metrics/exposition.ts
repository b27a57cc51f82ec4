import { onStorageCalls, type StorageCall } from '@pbmkit/core'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { FAMILIES, type FamilyName, type Sample } from './families.js'

/** From what a cache answers to what a large object takes (seconds). */
const BUCKETS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300, 1800]

/** The metrics of this process, in the text form of Prometheus. */
export class Exposition {
  readonly #registry = new Registry()
  readonly #gauges: ReadonlyMap<FamilyName, Gauge>
  readonly #faults: Counter
  readonly #unlisten: () => void

  constructor() {
    const registers = [this.#registry]
    // With the names that all programs on Node.js have: process_…, nodejs_….
    collectDefaultMetrics({ register: this.#registry })
    const names = Object.keys(FAMILIES) as FamilyName[]
    this.#gauges = new Map(
      names.map((name) => {
        const { help, labels } = FAMILIES[name]
        return [name, new Gauge({ name, help, labelNames: [...labels], registers })]
      }),
    )
    this.#faults = new Counter({
      name: 'pbmkit_control_read_errors_total',
      help: 'Readings of the control collections for these metrics that failed',
      registers,
    })
    this.#unlisten = onStorageCalls(storageMetrics(registers))
  }

  countFault(): void {
    this.#faults.inc()
  }

  /** Puts the samples in place of all before, and writes everything down. */
  async text(samples: readonly Sample[]): Promise<string> {
    for (const [name, gauge] of this.#gauges) {
      gauge.reset()
      // One without labels would say 0 where nothing is known.
      if (FAMILIES[name].labels.length === 0) gauge.remove()
    }
    for (const { name, labels, value } of samples) this.#gauges.get(name)?.set(labels, value)
    return await this.#registry.metrics()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  close(): void {
    this.#unlisten()
    this.#registry.clear()
  }
}

/** Never throws: what listens to a channel would end the process. */
function storageMetrics(registers: Registry[]): (event: StorageCall) => void {
  const labelNames = ['call'] as const
  const duration = new Histogram({
    name: 'pbmkit_storage_call_duration_seconds',
    help: 'Calls of storages by this agent, to the last byte of what they stream',
    ...{ labelNames, registers, buckets: BUCKETS },
  })
  const errors = new Counter({
    name: 'pbmkit_storage_errors_total',
    help: 'Calls of storages that failed in the end; that an object is not there is no failure',
    ...{ labelNames, registers },
  })
  const bytes = new Counter({
    name: 'pbmkit_storage_bytes_total',
    help: 'Bytes stored (save, copy) and read, those of failed calls too',
    ...{ labelNames, registers },
  })
  const retries = new Counter({
    name: 'pbmkit_storage_retries_total',
    help: 'Failures of storages that were tried again',
    registers,
  })
  for (const call of ['save', 'read', 'stat', 'list', 'delete', 'copy'] as const) {
    duration.zero({ call })
    errors.inc({ call }, 0)
    bytes.inc({ call }, 0)
  }
  return (event) => {
    if (event.kind === 'retried') return retries.inc()
    const { call } = event
    // What is sent again begins anew.
    if (event.kind === 'moved') return bytes.inc({ call }, Math.max(0, event.bytes))
    duration.observe({ call }, Math.max(0, event.millis) / 1000)
    if (event.failed) errors.inc({ call })
  }
}
