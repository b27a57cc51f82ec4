import type { ObjectInfo, SaveOptions, StorageCapabilities, TransferOptions } from '../plugin/storage.js'
import type { Operation } from './operation.js'

/** What a store knows of an object besides its name. */
export interface StoredObject {
  /** Bytes. */
  readonly size: number
  readonly modifiedAt?: Date
}

/** What is read: both are whole numbers, and `length` is at least 1. */
export interface ByteRange {
  /** First byte, from 0; perhaps past the end. */
  readonly offset: number
  /** Bytes at the most; infinite for all that follow. */
  readonly length: number
}

/** An object that is open for reading. */
export interface OpenObject {
  readonly bytes: AsyncIterable<Uint8Array>
  /** Frees what reading holds, a socket or a file. Called once, however it ends, also while nobody asks for bytes. */
  free(): void | Promise<void>
}

/** What a call was about when it failed. */
export interface FailedCall {
  /** For messages: `writing s3://bucket/name`. */
  readonly doing: string
  /** Of the object; `undefined` for a listing. */
  readonly name: string | undefined
  readonly operation: Operation
}

/**
 * What differs from store to store. Names are legal here, the store is open, and the call has not ended. A method does
 * its work with the help of `operation`: its `signal` goes to requests, `orEnd` hears the end of the call where a
 * request can't, `uncut` is for requests that must not be cut in the middle.
 */
export interface StoreMethods {
  readonly capabilities: StorageCapabilities
  /** What a person calls an object: `s3://bucket/prefix/name`; by default its name. Of a listing it is given the prefix. */
  show?(name: string): string
  /** Throws STORAGE_INVALID_NAME for a legal name that can't be kept here, in spite of `capabilities`. */
  checkName?(name: string): void
  /**
   * As that of {@link ObjectStore}. The body ends with the call, also while it hangs, and its errors go to the caller as
   * they are. `ifAbsent` is only ever true where the capability is. Has to clean up before it rejects.
   */
  save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions, operation: Operation): Promise<StoredObject>
  /** Resolves to `undefined` where the object has no byte in the range. Rejects where there is no object. */
  read(name: string, range: ByteRange, operation: Operation): Promise<OpenObject | undefined>
  /** Zero bytes are fine. */
  stat(name: string, operation: Operation): Promise<StoredObject>
  /** Every object whose name begins with `prefix`; others are left out for it. */
  list(prefix: string, operation: Operation): AsyncIterable<ObjectInfo>
  delete(name: string, operation: Operation): Promise<void>
  copy(source: string, target: string, options: TransferOptions, operation: Operation): Promise<StoredObject>
  /** Called once, when nothing is under way any more. */
  close?(): void | Promise<void>
  /** Whether there is such an object. Asked before a save with `ifAbsent`, so that no body is drained in vain. */
  isThere?(name: string, operation: Operation): Promise<boolean>
  /** Why `capabilities.ifAbsent` is false, and what would help. */
  readonly whyNotIfAbsent?: string
  /** An error of a client, a server or the system as an error of a storage. Errors of a storage never get here. */
  translate?(error: unknown, call: FailedCall): unknown
}
