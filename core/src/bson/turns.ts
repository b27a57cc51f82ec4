import { setImmediate as turn } from 'node:timers/promises'

/** How long others may have to wait for their turn, in ms, and how many steps are no time at all. */
const TURN_MS = 15
const STEPS_A_LOOK = 256

/** For what has many steps: says when everybody else is to have a turn. */
export class Turns {
  readonly #stepsALook: number
  #steps = 0
  #since = performance.now()

  constructor(stepsALook = STEPS_A_LOOK) {
    this.#stepsALook = stepsALook
  }

  /** To be asked before each step. */
  areDue(): boolean {
    return ++this.#steps % this.#stepsALook === 0 && performance.now() - this.#since >= TURN_MS
  }

  async give(): Promise<void> {
    await turn()
    this.#since = performance.now()
  }
}

/** Calls `step` until it is true, with turns for everybody else in between. */
export async function inTurns(step: () => boolean, stepsALook = STEPS_A_LOOK): Promise<void> {
  const turns = new Turns(stepsALook)
  while (!step()) if (turns.areDue()) await turns.give()
}

/** Calls `work` with each of many, with turns for everybody else in between. */
export async function eachInTurns<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
  const turns = new Turns()
  for (const item of items) {
    if (turns.areDue()) await turns.give()
    work(item)
  }
}
