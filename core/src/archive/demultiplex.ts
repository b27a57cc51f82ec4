import type { Archive, ArchiveNamespace } from './reader.js'

/**
 * Gives each namespace of an archive its own stream of documents. `consume` is called once a namespace, when its first
 * block arrives; the calls run beside each other, as the archive interleaves them, and hold one buffer each. Rejects
 * with the first error of the archive or of a consumer; the other consumers then see that error in their stream.
 */
export async function demultiplex(
  archive: Archive,
  consume: (namespace: ArchiveNamespace, documents: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const channels = new Map<ArchiveNamespace, Channel>()
  const running: Promise<void>[] = []
  const failures: unknown[] = []
  try {
    for await (const event of archive.events) {
      if (failures.length > 0) break
      let channel = channels.get(event.namespace)
      if (channel === undefined) {
        const created = new Channel()
        channel = created
        channels.set(event.namespace, created)
        running.push(
          consume(event.namespace, created)
            .catch((error: unknown) => {
              failures.push(error)
            })
            .finally(() => created.abandon()),
        )
      }
      if (event.kind === 'end') channel.end()
      else await channel.push(event.documents)
    }
  } catch (error) {
    failures.unshift(error)
  }
  if (failures.length > 0) for (const channel of channels.values()) channel.fail(failures[0])
  await Promise.all(running)
  if (failures.length > 0) throw failures[0]
}

/** A stream that is fed from outside, one buffer at a time: `push` resolves when the buffer was taken. */
class Channel implements AsyncIterable<Buffer> {
  #item: Buffer | undefined
  #taken: (() => void) | undefined
  #wake: (() => void) | undefined
  #ended = false
  #abandoned = false
  #error: { readonly cause: unknown } | undefined

  async push(item: Buffer): Promise<void> {
    // A consumer that stopped early has failed or wants no more: what is left flows past.
    if (this.#abandoned) return
    await new Promise<void>((resolve) => {
      this.#item = item
      this.#taken = resolve
      this.#wake?.()
    })
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  fail(cause: unknown): void {
    this.#error = { cause }
    this.#wake?.()
  }

  abandon(): void {
    this.#abandoned = true
    this.#taken?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error.cause
      const item = this.#item
      if (item !== undefined) {
        this.#item = undefined
        this.#taken?.()
        yield item
        continue
      }
      if (this.#ended) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
