import { createHash, randomBytes } from 'node:crypto'

/* A collection that is restored by itself gets a UUID of its own: the one of the backup may be in use. */

/** Each replica set makes the same one of the same restore and UUID (hex), by itself. */
export function derivedUuid(restore: string, uuid: string): Buffer {
  return version4(createHash('sha256').update(`${restore}\0${uuid}`).digest().subarray(0, 16))
}

export function randomUuid(): Buffer {
  return version4(randomBytes(16))
}

/** As the server makes them. */
function version4(bytes: Buffer): Buffer {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes
}
