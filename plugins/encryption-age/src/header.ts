import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { type ByteReader, tampered } from '@pbmkit/core/plugin/kit'

/** The file key, wrapped for one recipient. */
export interface Stanza {
  readonly type: string
  readonly args: readonly string[]
  readonly body: Buffer
}

export interface Header {
  readonly stanzas: readonly Stanza[]
  readonly mac: Buffer
  /** What the MAC is over: all up to and with its dashes. */
  readonly authenticated: Buffer
}

const VERSION = 'age-encryption.org/v1'
const MAC_BYTES = 32
/** Columns of a stanza's body. */
const COLUMNS = 64
/** More than any number of recipients takes; a strange object must not fill the memory. */
const MOST_BYTES = 64 * 1024
/** For messages. */
export const FORMAT = 'age file'

export function writeHeader(stanzas: readonly Stanza[], fileKey: Buffer): Buffer {
  const lines = stanzas.flatMap(({ type, args, body }) => [['->', type, ...args].join(' '), ...bodyLines(body)])
  const authenticated = `${[VERSION, ...lines].join('\n')}\n---`
  return Buffer.from(`${authenticated} ${toBase64(macOf(fileKey, Buffer.from(authenticated)))}\n`)
}

/** The body in lines of 64 columns, of which the last is shorter, and empty where nothing is left. */
function bodyLines(body: Buffer): string[] {
  const text = toBase64(body)
  const lines: string[] = []
  for (let at = 0; at <= text.length; at += COLUMNS) lines.push(text.slice(at, at + COLUMNS))
  return lines
}

/** Reads the header and nothing after it. Throws `ENCRYPTION_TAMPERED` and `CODEC_TRUNCATED`. */
export async function readHeader(reader: ByteReader): Promise<Header> {
  const lines = new Lines(reader)
  if ((await lines.next(VERSION)) !== VERSION) throw tampered(`this is no ${FORMAT}, or of another version`)
  const stanzas: Stanza[] = []
  for (;;) {
    const line = await lines.next()
    if (line.startsWith('---')) {
      const mac = line.startsWith('--- ') ? fromBase64(line.slice(4)) : undefined
      if (mac?.length !== MAC_BYTES || stanzas.length === 0) throw malformed()
      return { stanzas, mac, authenticated: lines.before(line.length - 3) }
    }
    const [mark, type, ...args] = line.split(' ')
    if (mark !== '->' || type === undefined || ![type, ...args].every((arg) => /^[\x21-\x7e]+$/.test(arg))) {
      throw malformed()
    }
    stanzas.push({ type, args, body: await readBody(lines) })
  }
}

async function readBody(lines: Lines): Promise<Buffer> {
  let text = ''
  for (;;) {
    const line = await lines.next()
    if (line.length > COLUMNS) throw malformed()
    text += line
    if (line.length === COLUMNS) continue
    const body = fromBase64(text)
    if (body === undefined) throw malformed()
    return body
  }
}

/** Throws `ENCRYPTION_TAMPERED` for a header that is not the one that was written with this file key. */
export function checkMac({ mac, authenticated }: Header, fileKey: Buffer): void {
  if (!timingSafeEqual(mac, macOf(fileKey, authenticated))) throw tampered(`the header of the ${FORMAT} is altered`)
}

function macOf(fileKey: Buffer, authenticated: Buffer): Buffer {
  const key = Buffer.from(hkdfSync('sha256', fileKey, '', 'header', MAC_BYTES))
  return createHmac('sha256', key).update(authenticated).digest()
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '')
}

/** Unpadded and canonical, as age wants it; undefined for anything else. */
export function fromBase64(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/]*$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  return toBase64(bytes) === text ? bytes : undefined
}

function malformed() {
  return tampered(`the header of the ${FORMAT} is malformed: it is altered`)
}

/** Takes lines out of the reader and keeps them, since the MAC is over their very bytes. */
class Lines {
  readonly #reader: ByteReader
  #taken = Buffer.alloc(0)

  constructor(reader: ByteReader) {
    this.#reader = reader
  }

  /** Without its end. What does not begin as `expected` is refused as soon as it shows. */
  async next(expected?: string): Promise<string> {
    const bytes: number[] = []
    for (;;) {
      const [byte = 0] = await this.#reader.take(1)
      if (byte === 0x0a) break
      bytes.push(byte)
      const strange = expected !== undefined && byte !== expected.charCodeAt(bytes.length - 1)
      if (strange || this.#taken.length + bytes.length > MOST_BYTES) throw tampered(`this is no ${FORMAT}`)
    }
    const line = Buffer.from(bytes)
    this.#taken = Buffer.concat([this.#taken, line, Buffer.from('\n')])
    return line.toString('latin1')
  }

  /** All taken so far, but the end of the last line. */
  before(cut: number): Buffer {
    return this.#taken.subarray(0, this.#taken.length - 1 - cut)
  }
}
