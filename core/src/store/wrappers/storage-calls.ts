import { channel } from 'node:diagnostics_channel'
import type { MeteredCall } from '../open-store.js'

/** What happens at the storages of this process, as whoever counts over all of them hears it. */
export type StorageCall =
  /** More bytes were stored or read. */
  | { readonly kind: 'moved'; readonly call: MeteredCall; readonly bytes: number }
  /** A call is over, with the last byte of its stream. That an object is not there is an answer, and no failure. */
  | { readonly kind: 'ended'; readonly call: MeteredCall; readonly millis: number; readonly failed: boolean }
  /** A failure is tried again. */
  | { readonly kind: 'retried' }

/** A channel of the process, since storages are opened in many places; without a listener it costs nothing. */
const CALLS = channel('pbmkit:storage-calls')

export function tellStorageCall(event: StorageCall): void {
  if (CALLS.hasSubscribers) CALLS.publish(event)
}

/** Listens to every storage of this process, until the function that it returns is called. */
export function onStorageCalls(listener: (event: StorageCall) => void): () => void {
  const onMessage = (message: unknown) => listener(message as StorageCall)
  CALLS.subscribe(onMessage)
  return () => CALLS.unsubscribe(onMessage)
}
