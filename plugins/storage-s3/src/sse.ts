import { createHash } from 'node:crypto'
import type { ServerSideEncryption as Algorithm } from '@aws-sdk/client-s3'
import { PluginError } from '@pbmkit/core/plugin'
import type { ServerSideEncryption } from './options.js'

interface CustomerKey {
  readonly SSECustomerAlgorithm?: string
  readonly SSECustomerKey?: string
  readonly SSECustomerKeyMD5?: string
}

/** Parameters of requests, by what they do. */
export interface EncryptionParameters {
  /** A new object, or the begin of an upload. */
  readonly write: CustomerKey & { readonly ServerSideEncryption?: Algorithm; readonly SSEKMSKeyId?: string }
  /** Reading, stat, parts and completion of an upload. */
  readonly read: CustomerKey
  readonly copySource: {
    readonly CopySourceSSECustomerAlgorithm?: string
    readonly CopySourceSSECustomerKey?: string
    readonly CopySourceSSECustomerKeyMD5?: string
  }
}

const KEY_BYTES = 32

/** What PBM passes over in silence, and who wrote it takes for encryption; undefined where there is nothing of it. */
export function ignoredEncryption(sse: ServerSideEncryption = {}): string | undefined {
  const { sseAlgorithm = '', kmsKeyID = '', sseCustomerAlgorithm = '', sseCustomerKey = '' } = sse
  const option = 'storage.s3.serverSideEncryption'
  if (!['', 'AES256', 'aws:kms'].includes(sseAlgorithm))
    return `${option}.sseAlgorithm ${JSON.stringify(sseAlgorithm)} is ignored: it is neither AES256 nor aws:kms`
  if (sseAlgorithm !== '' || sseCustomerAlgorithm !== '') return undefined
  if (kmsKeyID !== '') return `${option}.kmsKeyID is ignored, as there is no sseAlgorithm: aws:kms`
  if (sseCustomerKey !== '') return `${option}.sseCustomerKey is ignored, as there is no sseCustomerAlgorithm: AES256`
  return undefined
}

/** What to send for `storage.s3.serverSideEncryption`. The algorithm of the server goes before a customer key (PBM: cli-and-config.md §3.2). */
export function encryptionParameters(sse: ServerSideEncryption | undefined): EncryptionParameters {
  const none = { write: {}, read: {}, copySource: {} }
  if (sse === undefined) return none
  if (sse.sseAlgorithm === 'AES256') return { ...none, write: { ServerSideEncryption: 'AES256' } }
  if (sse.sseAlgorithm === 'aws:kms') {
    const write = { ServerSideEncryption: 'aws:kms' as const, ...(sse.kmsKeyID ? { SSEKMSKeyId: sse.kmsKeyID } : {}) }
    return { ...none, write }
  }
  if (!sse.sseCustomerAlgorithm) return none
  const key = Buffer.from(sse.sseCustomerKey ?? '', 'base64')
  if (key.length !== KEY_BYTES) {
    const text = `storage.s3.serverSideEncryption.sseCustomerKey has to be the base64 of ${KEY_BYTES} bytes (openssl rand -base64 ${KEY_BYTES}); it is of ${key.length}`
    throw new PluginError('STORAGE_DENIED', text)
  }
  const read = {
    SSECustomerAlgorithm: sse.sseCustomerAlgorithm,
    SSECustomerKey: key.toString('base64'),
    SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
  }
  return {
    write: read,
    read,
    copySource: {
      CopySourceSSECustomerAlgorithm: read.SSECustomerAlgorithm,
      CopySourceSSECustomerKey: read.SSECustomerKey,
      CopySourceSSECustomerKeyMD5: read.SSECustomerKeyMD5,
    },
  }
}
