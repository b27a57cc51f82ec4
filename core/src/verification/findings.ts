import type { Damage, Looked, VerificationResult } from '../control/verification-document.js'
import { isKeyObjectGone, isUnopened } from '../encryption/ciphers.js'
import { errorText } from '../errors.js'

/** Told one by one; of more, only how many there are. */
const MOST_DAMAGES = 500
/** Names come from the storage, and are as long as somebody likes. */
const MOST_LETTERS = 2_000
/** Of notes and of what could not be looked at. */
const MOST_LINES = 50

/** Errors that tell of an object. Any other, such as a storage that does not answer, tells nothing of it. */
const OF_OBJECTS =
  /^(?:BACKUP_DAMAGED|BACKUP_OBJECT_MISSING|BACKUP_METADATA_INVALID|CHAIN_BROKEN|FILE_LIST_INVALID|METADATA_INVALID|JSON_INVALID|OBJECT_TOO_LARGE|OPLOG_CORRUPT|ENCRYPTION_TAMPERED|STORAGE_(?:NOT_FOUND|EMPTY|INVALID_NAME)|(?:CODEC|BSON|ARCHIVE)_[A-Z]+)$/

export interface About {
  readonly object: string
  readonly rs?: string | undefined
  readonly ns?: string | undefined
}

/** What looking at an object is given. */
export interface Look {
  /** To be told all that is read of it. */
  readonly onBytes: (bytes: number) => void
}

/** What a verification has found so far of a backup, or of the chunks. */
export class Findings {
  readonly damages: Damage[] = []
  readonly unread: string[] = []
  readonly notes: string[] = []
  /** All objects that are damaged, those that are not told too. */
  readonly damaged = new Set<string>()
  /** What is beyond that. */
  more = 0
  readonly #looked = { objects: 0, bytes: 0, objectsRead: 0, bytesRead: 0 }
  readonly #signal: AbortSignal
  readonly #onBytes: (bytes: number) => void

  constructor(signal: AbortSignal, onBytes: (bytes: number) => void) {
    this.#signal = signal
    this.#onBytes = onBytes
  }

  get looked(): Looked {
    return { ...this.#looked }
  }

  get result(): Exclude<VerificationResult, 'gone'> {
    if (this.damages.length > 0) return 'damaged'
    return this.unread.length > 0 ? 'unread' : 'good'
  }

  /** One more object that is there. */
  seen(bytes: number): void {
    this.#looked.objects += 1
    this.#looked.bytes += bytes
  }

  /** One that is always read, since nothing can be looked at without it. */
  seenWhole(bytes: number): void {
    this.seen(bytes)
    this.#looked.objectsRead += 1
    this.#looked.bytesRead += bytes
  }

  damage({ object, rs, ns }: About, code: string, what: string, offset = 0): void {
    this.damaged.add(object)
    if (this.damages.length >= MOST_DAMAGES) {
      this.more += 1
      return
    }
    const where = { ...(rs === undefined ? {} : { rs }), ...(ns === undefined ? {} : { ns: short(ns) }) }
    this.damages.push({ ...where, object: short(object), code, what: short(what), ...(offset === 0 ? {} : { offset }) })
  }

  note(text: string): void {
    this.#addTo(this.notes, text)
  }

  /**
   * Looks at an object. What is wrong with it is kept, and undefined is the answer; a fault that tells nothing of the object
   * ends the verification, as does the signal.
   */
  async look<T>(about: About, work: (look: Look) => Promise<T>): Promise<T | undefined> {
    this.#signal.throwIfAborted()
    let offset = 0
    const onBytes = (bytes: number) => {
      offset += bytes
      this.#looked.bytesRead += bytes
      this.#onBytes(bytes)
    }
    try {
      const found = await work({ onBytes })
      if (offset > 0) this.#looked.objectsRead += 1
      return found
    } catch (error) {
      this.#signal.throwIfAborted()
      this.#take(error, about, offset)
      return undefined
    }
  }

  #addTo(list: string[], text: string): void {
    if (list.length < MOST_LINES) list.push(short(text))
    else this.more += 1
  }

  #take(error: unknown, about: About, offset: number): void {
    const code = (error as { code?: unknown } | null)?.code
    if (isUnopened(error) && !isKeyObjectGone(error)) {
      this.#addTo(this.unread, `${about.object}: ${errorText(error)}`)
    } else if (isKeyObjectGone(error)) this.damage(about, 'BACKUP_OBJECT_MISSING', messageOf(error), offset)
    else if (typeof code === 'string' && OF_OBJECTS.test(code)) this.damage(about, code, messageOf(error), offset)
    else throw error
  }
}

function short(text: string): string {
  return text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)}…` : text
}

/** With its causes, which say where; the hints are for who restores. */
function messageOf(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { message } = at
    if (!parts.some((part) => part.includes(message))) parts.push(message)
  }
  return parts.join(': ')
}
