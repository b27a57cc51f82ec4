import { type Channel, ConnectionLost } from './channel.js'
import { type Login, logIn, type Opened } from './log-in.js'

const CLOSE_MS = 2_000
/** Connections in a row that the server ends as soon as they are made. */
const MOST_LOST = 3

/** The connection of a store, made anew whenever it is needed and gone. */
export class Connection {
  readonly #login: Login
  /** Files that could not be removed because the connection was gone. */
  readonly #leftovers = new Set<string>()
  #opening: Promise<Opened> | undefined

  constructor(login: Login) {
    this.#login = login
  }

  async channel(): Promise<Channel> {
    for (let lost = 0; lost < MOST_LOST; lost++) {
      this.#opening ??= this.#open()
      const opening = this.#opening
      try {
        const { client, channel } = await opening
        if (!channel.isLost) return channel
        client.destroy()
        if (this.#opening === opening) this.#opening = undefined
      } catch (error) {
        if (this.#opening === opening) this.#opening = undefined
        throw error
      }
    }
    throw new ConnectionLost('the server ends every connection at once')
  }

  /** Removes a file whose removal must not fail anything: when the connection is gone, as soon as there is one again. */
  async remove(channel: Channel, path: string): Promise<void> {
    this.#leftovers.add(path)
    if (channel.isLost) return
    try {
      await channel.remove(path)
    } catch {
      // Kept for the next connection; else there is nothing to be done about it.
      if (channel.isLost) return
    }
    this.#leftovers.delete(path)
  }

  /** Makes no more connections of its own accord, but would when asked. */
  async close(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    const opened = await opening?.catch(() => undefined)
    if (opened === undefined) return
    const { client, channel } = opened
    if (channel.isLost) return void client.destroy()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CLOSE_MS)
      client.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      client.end()
    })
    client.destroy()
  }

  async #open(): Promise<Opened> {
    const opened = await logIn(this.#login)
    for (const path of this.#leftovers) void this.remove(opened.channel, path)
    return opened
  }
}
