import type { Readable } from 'node:stream'
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import type { ObjectStore, PluginContext } from '@pbmkit/core/plugin'
import { defineStore, type FailedCall, keysBelow } from '@pbmkit/core/plugin/kit'
import type { Connection } from './client.js'
import { COPY_LIMITS, type CopyLimits, copyObject } from './copy.js'
import { Digests } from './digests.js'
import { codeOf, isMissing, NotS3, tellsTooLittle, translated } from './errors.js'
import { listObjects } from './list.js'
import { endpointOf, maxObjectBytes, type S3Options } from './options.js'
import { partPlan } from './part-size.js'
import type { Place } from './place.js'
import { lookUp, openRead } from './read.js'
import { saveObject } from './save.js'
import { deniesInPassing, isAws, segmentLimit, writesConditionally } from './server.js'
import { encryptionParameters } from './sse.js'

/** Objects of a bucket. */
export function s3Store(
  options: S3Options,
  context: PluginContext,
  connection: Connection,
  shown: string,
  copyLimits: CopyLimits = COPY_LIMITS,
): ObjectStore {
  const { client } = connection
  const server = connection.server()
  const { bucket } = options
  const endpoint = endpointOf(options, context.node) ?? 'AWS S3'
  const encryption = encryptionParameters(options.serverSideEncryption)
  const maxSegmentBytes = segmentLimit(server)
  const keys = keysBelow(options.prefix, 'storage.s3.prefix', maxSegmentBytes)
  const { keyOf } = keys
  const sceneOf = (doing: string) => {
    const customerKey = encryption.read.SSECustomerKey !== undefined
    return { doing, bucket, endpoint, customerKey }
  }
  const place: Place = {
    client,
    bucket,
    encryption,
    storageClass: options.storageClass,
    digests: new Digests(),
    translate: (error) => translated(error, sceneOf(`using ${shown}`)),
    mayPass: (error) => place.translate(error).retriable || deniesInPassing(server, codeOf(error)),
    warn: (message) => context.warn(message),
  }

  return defineStore(context, {
    capabilities: {
      ifAbsent: options.conditionalWrites ?? (isAws(endpointOf(options, context.node)) || writesConditionally(server)),
      serverSideCopy: true,
      modifiedAt: true,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
      ...(maxSegmentBytes === undefined ? {} : { maxSegmentBytes }),
    },
    whyNotIfAbsent: `it is not known whether ${endpoint} keeps "only if absent"; storage.s3.conditionalWrites: true says so`,
    checkName: keyOf,
    show: (name) => (name === '' ? shown : `${shown}/${name}`),

    save: (name, body, save, operation) =>
      saveObject(place, keyOf(name), body, partPlan(options, save.sizeHint), save, operation),

    read: (name, range, operation) => openRead(place, keyOf(name), range, operation),

    stat: (name, operation) => lookUp(place, keyOf(name), operation),

    list: (prefix, operation) => listObjects(place, keys, prefix, operation),

    delete: async (name, operation) => {
      // S3 deletes what is not there without a word.
      await lookUp(place, keyOf(name), operation)
      const command = new DeleteObjectCommand({ Bucket: bucket, Key: keyOf(name) })
      await client.send(command, { abortSignal: operation.signal })
    },

    copy: (source, target, copy, operation) =>
      copyObject(place, keyOf(source), keyOf(target), copyLimits, copy, operation),

    close: () => connection.destroy(),

    isThere: (name, operation) =>
      lookUp(place, keyOf(name), operation).then(
        () => true,
        (error: unknown) => {
          if (isMissing(error)) return false
          throw error
        },
      ),

    translate: explained,
  })

  /** Where S3 gives a status alone, a request whose errors have a text tells what is behind it. */
  async function explained(error: unknown, { doing, name, operation }: FailedCall): Promise<unknown> {
    const scene = sceneOf(doing)
    if (name === undefined || operation.signal.aborted || !tellsTooLittle(error)) return translated(error, scene)
    try {
      await probe(place, operation.signal)
      if (!isMissing(error)) await probeObject(keyOf(name), operation.signal)
    } catch (cause) {
      const better = translated(cause, scene)
      if (!isMissing(error) || better.code !== 'STORAGE_DENIED') return operation.endedBy?.error ?? better
    }
    return translated(error, scene)
  }

  /** What is wrong with one object, a customer key that is not its own for example. */
  async function probeObject(Key: string, abortSignal: AbortSignal): Promise<void> {
    const input = { Bucket: bucket, Key, Range: 'bytes=0-0', ...encryption.read }
    const { Body } = await client.send(new GetObjectCommand(input), { abortSignal })
    ;(Body as Readable | undefined)?.destroy()
  }
}

/** Asks for one object of the bucket: the cheapest request whose errors tell what is wrong. */
export async function probe(place: Pick<Place, 'client' | 'bucket'>, abortSignal: AbortSignal): Promise<void> {
  const asked = new ListObjectsV2Command({ Bucket: place.bucket, MaxKeys: 1 })
  const { $metadata: _, ...listed } = await place.client.send(asked, { abortSignal })
  if (Object.values(listed).every((value) => value === undefined)) throw new NotS3('the answer is no list')
}
