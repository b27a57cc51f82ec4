import type { SFTPWrapper } from 'ssh2'

type Done = (error: Error | undefined, bytes: Buffer) => void

/** What ssh2 keeps to itself of requests that wait. */
interface Internals {
  readonly _writeReqid?: number
  readonly _requests?: Readonly<Record<number, { buffer?: Buffer; cb?: unknown } | undefined>>
}

/** Never written to: ssh2 only looks at its length. */
let target = Buffer.alloc(0)

/**
 * Reads without ssh2's copy of each answer into memory that it has to be given: where there is none, it hands out the
 * bytes where they are.
 */
export function readInPlace(sftp: SFTPWrapper, handle: Buffer, position: number, length: number, done: Done): void {
  const { _requests: requests } = sftp as unknown as Internals
  if (requests === undefined) {
    readByCopy(sftp, handle, position, length, done)
    return
  }
  if (target.length < length) target = Buffer.allocUnsafeSlow(length)
  const given = target
  sftp.read(handle, given, 0, length, position, () => undefined)
  const request = requests[(sftp as unknown as Internals)._writeReqid ?? -1]
  if (request?.buffer?.buffer !== given.buffer) throw new Error('this ssh2 keeps its requests in another way')
  delete request.buffer
  request.cb = (error: Error | null | undefined, bytes: Buffer) => {
    if (error) done(error, given)
    else if (bytes.length > length) done(new Error('the server sent more bytes than asked for'), given)
    else done(undefined, bytes)
  }
}

function readByCopy(sftp: SFTPWrapper, handle: Buffer, position: number, length: number, done: Done): void {
  const bytes = Buffer.allocUnsafeSlow(length)
  sftp.read(handle, bytes, 0, length, position, (error, read) =>
    done(error ?? undefined, read === length ? bytes : bytes.subarray(0, read)),
  )
}
