import { Timestamp } from 'bson'
import { documentsIn, wholeDocuments } from '../bson/documents.js'
import { BSON_BOOLEAN, BSON_STRING, BSON_TIMESTAMP, type ElementPosition, readElement } from '../bson/elements.js'
import { PbmError } from '../errors.js'

/** One change. `o` and `o2` stay raw: what is replayed is byte for byte what the oplog had. */
export interface Operation {
  /** `i`, `u`, `d`, `c`, `n` and rarer ones. */
  readonly op: string
  readonly ns: string
  /** The 16 bytes of the collection's UUID. */
  readonly ui: Buffer | undefined
  readonly o: Buffer
  readonly o2: Buffer | undefined
  /** An update that makes the document where there is none, as config servers write their chunks (`b` of the entry). */
  readonly upsert?: true
}

/** One document of `local.oplog.rs`, as far as a replay needs it. */
export interface OplogEntry extends Operation {
  /** Seconds in the upper 32 bits, increment in the lower: compares as optimes do. */
  readonly ts: bigint
  /** Raw session id; present for transactions and retryable writes. */
  readonly lsid: Buffer | undefined
  readonly txnNumber: bigint | undefined
  /** `ts` of `prevOpTime`; 0 for the first entry of a transaction. */
  readonly previous: bigint
  /** 1: a batch of retryable writes, not a transaction. */
  readonly multiOpType: number
}

const EMPTY = Buffer.from([5, 0, 0, 0, 0])

/** A timestamp in the form of {@link OplogEntry.ts}. */
export function optime(timestamp: { t: number; i: number }): bigint {
  return (BigInt(timestamp.t) << 32n) | BigInt(timestamp.i)
}

export function toTimestamp(ts: bigint): Timestamp {
  return new Timestamp({ t: Number(ts >> 32n), i: Number(ts & 0xffffffffn) })
}

export function earlier(a: bigint, b: bigint): bigint {
  if (a < b) return a
  return b
}

export function optimeText(ts: bigint): string {
  return `${ts >> 32n}.${ts & 0xffffffffn}`
}

/** Reads an entry or an inner operation of applyOps. Nothing is copied. Throws `BSON_CORRUPT` or `OPLOG_CORRUPT`. */
export function parseEntry(raw: Buffer): OplogEntry {
  let op = ''
  let ns = ''
  let ui: Buffer | undefined
  let o: Buffer | undefined
  let o2: Buffer | undefined
  let ts = 0n
  let lsid: Buffer | undefined
  let txnNumber: bigint | undefined
  let previous = 0n
  let multiOpType = 0
  let upsert = false
  const element: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  for (let at = 4; readElement(raw, at, raw.length, element); at = element.end) {
    const { type, value, end } = element
    switch (raw.toString('latin1', element.start + 1, value - 1)) {
      case 'op':
        op = text(raw, type, value, end)
        break
      case 'ns':
        ns = text(raw, type, value, end)
        break
      case 'ui':
        // int32 length, subtype, 16 bytes
        if (type === 0x05 && end - value === 21) ui = raw.subarray(value + 5, end)
        break
      case 'o':
        if (type === 0x03) o = raw.subarray(value, end)
        break
      case 'o2':
        if (type === 0x03) o2 = raw.subarray(value, end)
        break
      case 'b':
        upsert = type === BSON_BOOLEAN && raw[value] === 1
        break
      case 'ts':
        if (type === BSON_TIMESTAMP) ts = raw.readBigUInt64LE(value)
        break
      case 'lsid':
        lsid = raw.subarray(value, end)
        break
      case 'txnNumber':
        if (type === 0x12) txnNumber = raw.readBigInt64LE(value)
        break
      case 'prevOpTime':
        if (type === 0x03) previous = timestampField(raw.subarray(value, end), 'ts')
        break
      case 'multiOpType':
        if (type === 0x10) multiOpType = raw.readInt32LE(value)
        break
    }
  }
  if (op === '' || (o === undefined && op !== 'n')) {
    throw new PbmError('OPLOG_CORRUPT', `The oplog entry at ${optimeText(ts)} has no op or o field`)
  }
  const entry = { op, ns, ui, o: o ?? EMPTY, o2, ts, lsid, txnNumber, previous, multiOpType }
  return upsert ? { ...entry, upsert } : entry
}

/** Entries of an oplog piece: concatenated BSON, chunked anyhow, already decompressed. */
export async function* readEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<OplogEntry> {
  for await (const documents of wholeDocuments(source)) {
    for (const document of documentsIn(documents)) yield parseEntry(document)
  }
}

/** The name of the first field of `o`, which is the command's name. */
export function commandName(o: Buffer): string {
  const element: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  return readElement(o, 4, o.length, element) ? o.toString('utf8', element.start + 1, element.value - 1) : ''
}

/** `db` of a namespace: up to the first dot. */
export function databaseOf(ns: string): string {
  const dot = ns.indexOf('.')
  return dot < 0 ? ns : ns.slice(0, dot)
}

export function collectionOf(ns: string): string {
  const dot = ns.indexOf('.')
  return dot < 0 ? '' : ns.slice(dot + 1)
}

function text(raw: Buffer, type: number, value: number, end: number): string {
  return type === BSON_STRING ? raw.toString('utf8', value + 4, end - 1) : ''
}

function timestampField(raw: Buffer, name: string): bigint {
  const element: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  for (let at = 4; readElement(raw, at, raw.length, element); at = element.end) {
    if (element.type === BSON_TIMESTAMP && raw.toString('latin1', element.start + 1, element.value - 1) === name) {
      return raw.readBigUInt64LE(element.value)
    }
  }
  return 0n
}
