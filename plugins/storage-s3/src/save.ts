import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { PluginError, type SaveOptions } from '@pbmkit/core/plugin'
import { type Operation, PartSource } from '@pbmkit/core/plugin/kit'
import { answeredAt } from './client.js'
import { codeOf } from './errors.js'
import type { PartPlan } from './part-size.js'
import { type Place, retried } from './place.js'

export interface Written {
  readonly size: number
  readonly modifiedAt: Date
}

/** How long the removal of a failed upload may take (milliseconds). */
const CLEANUP_MS = 10_000

/** Drains `body` into `key`: by one request when it fits into a part, else by parts that are sent while more is read. */
export async function saveObject(
  place: Place,
  key: string,
  body: AsyncIterable<Uint8Array>,
  plan: PartPlan,
  options: SaveOptions,
  operation: Operation,
): Promise<Written> {
  const source = new PartSource(body)
  const ifAbsent = options.ifAbsent === true ? { IfNoneMatch: '*' } : {}
  const first = await source.next(plan.size(0))
  const second = first.length < plan.size(0) ? undefined : await source.next(plan.size(1))
  if (second === undefined || second.length === 0) {
    const output = await retried(place, operation, () =>
      operation.uncut((abortSignal) =>
        place.digests.send(first, (digest) => {
          const input = { ...target(place, key), ...place.encryption.write, ...ifAbsent, ...digest, Body: first }
          return place.client.send(new PutObjectCommand(input), { abortSignal })
        }),
      ),
    )
    return { size: first.length, modifiedAt: answeredAt(output) }
  }
  return inParts(place, key, operation, async (uploadId) => {
    const uploader = new PartUploader(place, key, uploadId, source, plan, options, operation)
    const { parts, size } = await uploader.run(first, second)
    return { parts, size, ifAbsent }
  })
}

export function target(place: Place, key: string) {
  const { bucket, storageClass } = place
  return {
    Bucket: bucket,
    Key: key,
    ...(storageClass ? { StorageClass: storageClass as StorageClass } : {}),
  }
}

interface Content {
  readonly parts: CompletedPart[]
  readonly size: number
  readonly ifAbsent?: { readonly IfNoneMatch?: string }
}

/** A multipart upload around `fill`, which sends the parts. Whatever fails, no part of it stays. */
export async function inParts(
  place: Place,
  key: string,
  operation: Operation,
  fill: (uploadId: string) => Promise<Content>,
): Promise<Written> {
  const { client, bucket, encryption } = place
  const created = await retried(place, operation, () =>
    operation.uncut((abortSignal) =>
      client.send(new CreateMultipartUploadCommand({ ...target(place, key), ...encryption.write }), { abortSignal }),
    ),
  )
  const upload = { Bucket: bucket, Key: key, UploadId: created.UploadId ?? '' }
  try {
    const { parts, size, ifAbsent } = await fill(upload.UploadId)
    const command = () =>
      new CompleteMultipartUploadCommand({
        ...upload,
        ...encryption.read,
        ...ifAbsent,
        MultipartUpload: { Parts: parts },
      })
    const modifiedAt = await retried(place, operation, () =>
      operation.uncut((abortSignal) => client.send(command(), { abortSignal })),
    ).then(answeredAt, async (error: unknown) => {
      // An answer that was lost: the try after it finds the upload gone, because the object is there.
      if (codeOf(error) !== 'NoSuchUpload') throw error
      const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key, ...encryption.read }))
      const ours = found.ContentLength === size && found.ETag?.replaceAll('"', '').endsWith(`-${parts.length}`) === true
      if (!ours) throw error
      return found.LastModified ?? answeredAt(found)
    })
    return { size, modifiedAt }
  } catch (error) {
    operation.stop(error)
    await abandon(place, upload)
    throw error
  }
}

/** Removes an upload with its parts. One that was on its way may arrive later, so it is looked whether any is left. */
async function abandon(
  place: Place,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
): Promise<void> {
  const abortSignal = AbortSignal.timeout(CLEANUP_MS)
  try {
    for (let round = 0; round < 3; round++) {
      await place.client.send(new AbortMultipartUploadCommand(upload), { abortSignal })
      const { Parts } = await place.client.send(new ListPartsCommand({ ...upload, MaxParts: 1 }), { abortSignal })
      if (Parts === undefined || Parts.length === 0) return
    }
  } catch (error) {
    if (['NoSuchUpload', 'NotFound'].includes(codeOf(error))) return
    const why = place.translate(error).message
    place.warn(`parts of a failed upload of ${upload.Key} may be left in the bucket ${upload.Bucket}: ${why}`)
  }
}

/** Sends the parts of one upload, some at once, while the next is gathered. */
class PartUploader {
  readonly #place: Place
  readonly #upload: { Bucket: string; Key: string; UploadId: string }
  readonly #source: PartSource
  readonly #plan: PartPlan
  readonly #options: SaveOptions
  readonly #operation: Operation
  readonly #parts: CompletedPart[] = []
  readonly #running = new Set<Promise<void>>()
  #count = 0
  #size = 0
  #sent = 0

  constructor(
    place: Place,
    key: string,
    uploadId: string,
    source: PartSource,
    plan: PartPlan,
    options: SaveOptions,
    operation: Operation,
  ) {
    this.#place = place
    this.#upload = { Bucket: place.bucket, Key: key, UploadId: uploadId }
    this.#source = source
    this.#plan = plan
    this.#options = options
    this.#operation = operation
  }

  async run(first: Buffer, second: Buffer): Promise<{ parts: CompletedPart[]; size: number }> {
    try {
      this.#start(first)
      for (let part = second; part.length > 0; part = await this.#source.next(this.#plan.size(this.#count))) {
        while (this.#running.size >= this.#plan.width(part.length)) await Promise.race(this.#running)
        this.#operation.check()
        this.#start(part)
      }
      await Promise.all(this.#running)
      this.#operation.check()
      return { parts: this.#parts, size: this.#size }
    } catch (error) {
      // Ends what is under way, so that no part arrives after the upload was removed.
      this.#operation.stop(error)
      await Promise.allSettled(this.#running)
      this.#operation.check()
      throw error
    }
  }

  #start(part: Buffer): void {
    const index = this.#count++
    if (index >= this.#plan.maxParts) {
      const text = `the object grew beyond ${this.#plan.maxParts} parts; raise storage.s3.uploadPartSize`
      throw new PluginError('STORAGE_NO_SPACE', text)
    }
    this.#size += part.length
    const sending = this.#send(part, index)
      // A failed part ends the operation, with it the wait for the body.
      .catch((error: unknown) => this.#operation.stop(error))
      .finally(() => this.#running.delete(sending))
    this.#running.add(sending)
  }

  async #send(part: Buffer, index: number): Promise<void> {
    const { client, encryption, digests } = this.#place
    const PartNumber = index + 1
    const { signal: abortSignal } = this.#operation
    const { ETag } = await this.#operation.orEnd(
      retried(this.#place, this.#operation, () =>
        digests.send(part, (digest) => {
          const input = { ...this.#upload, ...encryption.read, ...digest, PartNumber, Body: part }
          return client.send(new UploadPartCommand(input), { abortSignal })
        }),
      ),
    )
    this.#parts[index] = { PartNumber, ...(ETag === undefined ? {} : { ETag }) }
    this.#sent += part.length
    this.#source.release(part)
    this.#options.onProgress?.(this.#sent)
  }
}
