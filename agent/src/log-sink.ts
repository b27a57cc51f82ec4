import { errorText } from '@pbmkit/core'
import type { LogOutput } from './log-output.js'

/** Bytes held while the output takes nothing; beyond, the oldest lines are lost. */
const HELD_BYTES = 1024 * 1024
/** Bytes given to the output at once: a file system that hangs has no more than these. */
const BATCH_BYTES = 64 * 1024
const RETRY_MS = 500

export interface LogSinkOptions {
  readonly output: LogOutput
  readonly heldBytes?: number
  /** Makes the line that says how many were lost, and why. */
  readonly lossLine: (lost: number, why: string) => string
}

/**
 * Lines on their way to an output that may be slow, full or gone: nobody waits for it, and what it does not take is kept
 * within a bound. How many lines were lost is said as soon as it takes lines again.
 */
export class LogSink {
  readonly #lossLine: LogSinkOptions['lossLine']
  readonly #heldBytes: number
  #output: LogOutput
  #next: LogOutput | undefined
  /** Of which a part may be written: never lost, so that lines stay whole. */
  #begun: Buffer = Buffer.alloc(0)
  #lines: Buffer[] = []
  #bytes = 0
  #lost = 0
  #why = 'the output took no lines'
  #writing: Promise<void> | undefined
  readonly #retry = new EventTarget()

  constructor({ output, lossLine, heldBytes = HELD_BYTES }: LogSinkOptions) {
    this.#output = output
    this.#lossLine = lossLine
    this.#heldBytes = heldBytes
  }

  /** Never waits, never throws. */
  write(line: string): void {
    const bytes = Buffer.from(line)
    this.#lines.push(bytes)
    this.#bytes += bytes.length
    while (this.#bytes > this.#heldBytes && this.#lines.length > 1) this.#lose()
    this.#start()
  }

  /** Lines that are not written yet go to this output, as after a rotation; the one before is closed. */
  replace(output: LogOutput): void {
    void this.#next?.close()
    this.#next = output
    this.#retry.dispatchEvent(new Event('now'))
    this.#start()
  }

  /** Whether all that was written so far came through within `patienceMs`. */
  async drain(patienceMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), patienceMs)
    try {
      return await Promise.race([this.#written(), promise])
    } finally {
      clearTimeout(timer)
    }
  }

  async #written(): Promise<boolean> {
    while (this.#writing !== undefined) await this.#writing
    return true
  }

  #start(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  async #write(): Promise<void> {
    // Once the caller's turn is over: lines logged together are written together.
    await undefined
    while (this.#begun.length > 0 || this.#lines.length > 0 || this.#next !== undefined) {
      this.#turnToNext()
      if (this.#begun.length === 0) this.#begun = this.#take()
      try {
        while (this.#begun.length > 0) this.#begun = this.#begun.subarray(await this.#output.write(this.#begun))
      } catch (error) {
        this.#why = errorText(error)
        await this.#pause()
      }
    }
  }

  #turnToNext(): void {
    if (this.#next === undefined) return
    void this.#output.close().catch(() => undefined)
    this.#output = this.#next
    this.#next = undefined
  }

  #take(): Buffer {
    const taken: Buffer[] = this.#lost === 0 ? [] : [Buffer.from(this.#lossLine(this.#lost, this.#why))]
    this.#lost = 0
    let size = 0
    while (this.#lines[0] !== undefined && (size === 0 || size + this.#lines[0].length <= BATCH_BYTES)) {
      const [line] = this.#lines.splice(0, 1)
      if (line === undefined) break
      taken.push(line)
      size += line.length
    }
    this.#bytes -= size
    return Buffer.concat(taken)
  }

  #lose(): void {
    const [oldest] = this.#lines.splice(0, 1)
    if (oldest === undefined) return
    this.#bytes -= oldest.length
    this.#lost++
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, RETRY_MS)
    this.#retry.addEventListener('now', () => resolve(), { once: true })
    await promise
    clearTimeout(timer)
  }
}
