import {
  errorText,
  type Log,
  Notifier,
  nodeInfo,
  type OperationLog,
  type Repair,
  readRunDocuments,
  Scheduler,
  type SendNotice,
} from '@pbmkit/core'
import { leadsCluster } from './leadership.js'
import type { AgentContext } from './operations/context.js'

/** How often the schedules and who is to be told are read, where nothing is due before. */
const LOOK_MS = 10_000
/** Only looks at the clock. */
const TICK_MS = 500
/** How long it counts who leads: the look for dead operations, which asks anyway, may be held up by a slow storage. */
const LEADING_MS = 30_000

/** What the agent that leads the cluster does by itself: schedules and notifications. The others ask nothing. */
export class RunDuties {
  readonly #context: AgentContext
  readonly #log: OperationLog
  readonly #scheduler: Scheduler
  readonly #notifier: Notifier
  #leads = false
  #askedAt: number
  #nextLook = 0
  #operations = ''
  #told = ''

  constructor(context: AgentContext, log: Log, send: SendNotice) {
    const { leader, self, clock } = context
    this.#context = context
    this.#askedAt = clock.now()
    this.#log = log.operation({ event: 'schedule' })
    const onEnded = () => this.#lookAtOnce()
    this.#scheduler = new Scheduler({ leader, self, log: (of) => log.operation(of), onEnded })
    this.#notifier = new Notifier({ leader, clock, log: log.operation({ event: 'notify' }), send })
  }

  /** Learns from the look for dead operations, which reads it anyway, who leads and what runs. */
  readonly repair: Repair = {
    name: 'noticing what has ended',
    everyMs: 0,
    run: async ({ backups, restores }) => {
      this.#leads = true
      this.#askedAt = this.#context.clock.now()
      const operations = [...backups, ...restores].map(({ name }) => name).join()
      if (operations === this.#operations) return
      this.#operations = operations
      this.#lookAtOnce()
    },
    forget: () => {
      this.#leads = false
      this.#askedAt = this.#context.clock.now()
    },
  }

  /** Until the signal aborts. Never rejects: what fails is told once and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context
    while (!signal.aborted) {
      try {
        if (clock.now() >= this.#nextLook && (await this.#isLeading())) await this.#look()
      } catch (error) {
        this.#tell(signal.aborted ? '' : `schedules and notifications wait: ${errorText(error)}`)
        this.#nextLook = clock.now() + LOOK_MS
      }
      await clock.sleep(TICK_MS, signal).catch(() => undefined)
    }
    await this.#notifier.underWay
  }

  async #isLeading(): Promise<boolean> {
    const { clock, node } = this.#context
    if (clock.now() - this.#askedAt < LEADING_MS) return this.#leads
    this.#askedAt = clock.now()
    this.#leads = await leadsCluster(this.#context, await nodeInfo(node))
    return this.#leads
  }

  async #look(): Promise<void> {
    const { leader, clock } = this.#context
    const documents = await readRunDocuments(leader)
    this.#tell(documents.faults.map(({ path, text }) => `left out: ${path.join('.')}: ${text}`).join('; '))
    const now = clock.now()
    this.#nextLook = now + LOOK_MS
    if (await this.#notifier.look(documents)) this.#nextLook = 0
    // After it: what ends here stands in none of these documents yet.
    const again = await this.#scheduler.look(documents, now)
    this.#nextLook = Math.min(again, this.#nextLook)
  }

  /** Something has ended. */
  #lookAtOnce(): void {
    this.#notifier.wake()
    this.#nextLook = 0
  }

  #tell(trouble: string): void {
    if (trouble !== this.#told && trouble !== '') this.#log.warning(trouble)
    this.#told = trouble
  }
}
