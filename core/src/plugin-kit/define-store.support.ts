import assert from 'node:assert/strict'
import { hasCode, type PluginErrorCode } from '../plugin/errors.js'
import { defineStore } from './define-store.js'
import { notFound } from './object-errors.js'
import type { StoreMethods } from './store-methods.js'
import { bodyOf } from './streams.js'

export const bytes = Buffer.from('0123456789')
export const never = new Promise<never>(() => undefined)

/** A store of one object `a` of ten bytes, whose calls are noted. */
export function setUp(methods: Partial<StoreMethods> = {}) {
  const calls: string[] = []
  const process = new AbortController()
  const store = defineStore(
    { signal: process.signal, warn: () => undefined },
    {
      capabilities: {
        ...{ ifAbsent: true, serverSideCopy: true, modifiedAt: false },
        ...{ maxSegmentBytes: 20, reservedSuffix: '.part' },
      },
      show: (name) => `place/${name}`,
      save: async (_name, body) => {
        calls.push('save')
        let size = 0
        for await (const chunk of body) size += chunk.length
        return { size }
      },
      read: async (_name, { offset, length }) => {
        calls.push(`read ${offset} ${length}`)
        const part = bytes.subarray(offset, offset + length)
        return part.length === 0 ? undefined : { bytes: bodyOf(part), free: () => void calls.push('free') }
      },
      stat: async (name) => {
        calls.push('stat')
        if (name !== 'a') throw notFound(name)
        return { size: bytes.length }
      },
      list: async function* () {
        calls.push('list')
        for (const name of ['a', 'ab', 'b']) yield { name, size: 1 }
      },
      delete: async () => void calls.push('delete'),
      copy: async () => {
        calls.push('copy')
        return { size: bytes.length }
      },
      close: () => void calls.push('close'),
      ...methods,
    },
  )
  return { store, calls, process }
}

export function refused(work: Promise<unknown>, code: PluginErrorCode, message = /./): Promise<void> {
  return assert.rejects(work, (error: Error) => {
    assert.ok(hasCode(error, code), `${error} must have the code ${code}`)
    assert.match(error.message, message)
    return true
  })
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const each of source) found.push(each)
  return found
}

/** A body that gives one chunk and then hangs, and knows whether it was told to stop. */
export function hanging() {
  const told = { stop: false }
  let asked = 0
  const reached = Promise.withResolvers<void>()
  const next = () => {
    if (asked++ === 0) return Promise.resolve({ done: false, value: bytes })
    reached.resolve()
    return never
  }
  const stop = async () => {
    told.stop = true
    return { done: true as const, value: undefined }
  }
  return { body: { [Symbol.asyncIterator]: () => ({ next, return: stop }) }, reached: reached.promise, told }
}
