import { errorText } from '@pbmkit/core'

export interface Task {
  /** For messages: `backup 2031-02-03T04:05:06Z`. */
  readonly name: string
  readonly kind: string
  readonly abort: AbortController
  readonly ended: Promise<void>
}

/** The work this agent is doing: each piece with its own abort, waited for at the end. */
export class Tasks {
  readonly #running = new Set<Task>()

  get running(): readonly Task[] {
    return [...this.#running]
  }

  /** Starts `work`; a rejection that is not its own abort's goes to `onError`. */
  start(
    task: { readonly kind: string; readonly name: string },
    work: (signal: AbortSignal) => Promise<void>,
    onError: (text: string) => void,
  ): Task {
    const abort = new AbortController()
    const ended = work(abort.signal)
      .catch((error: unknown) => onError(errorText(error)))
      .finally(() => this.#running.delete(started))
    const started: Task = { ...task, abort, ended }
    this.#running.add(started)
    return started
  }

  /** Aborts all of a kind; how many there were. */
  abort(kind: string, reason: Error): number {
    const found = this.running.filter((task) => task.kind === kind)
    for (const task of found) task.abort.abort(reason)
    return found.length
  }

  abortAll(reason: Error): void {
    for (const task of this.#running) task.abort.abort(reason)
  }

  /** Whether all ended within `milliseconds`. */
  async settled(milliseconds: number): Promise<boolean> {
    const ended = Promise.all(this.running.map((task) => task.ended))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), milliseconds)
    })
    const inTime = await Promise.race([ended.then(() => true), late])
    clearTimeout(timer)
    return inTime && this.#running.size === 0
  }
}
