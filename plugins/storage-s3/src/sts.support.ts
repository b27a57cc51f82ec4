import { createHash, createHmac } from 'node:crypto'
import type { Minio } from '@pbmkit/conformance/testbed'

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()

/** Temporary credentials that may do only `actions` in one bucket, from MinIO's own STS. */
export async function assumeRole(minio: Minio, actions: readonly string[], bucket: string) {
  const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`]
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource }] })
  const form = { Action: 'AssumeRole', Version: '2011-06-15', DurationSeconds: '900', Policy }
  const body = new URLSearchParams(form).toString()
  const answer = await fetch(minio.endpoint, { method: 'POST', headers: signed(minio, body), body })
  const text = await answer.text()
  const field = (name: string) => {
    const value = new RegExp(`<${name}>([^<]+)</${name}>`).exec(text)?.[1]
    if (value === undefined) throw new Error(`AssumeRole answers: ${text}`)
    return value
  }
  return {
    'access-key-id': field('AccessKeyId'),
    'secret-access-key': field('SecretAccessKey'),
    'session-token': field('SessionToken'),
  }
}

/** Signature version 4 of a POST to the root. */
function signed(minio: Minio, body: string): Record<string, string> {
  const time = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = time.slice(0, 8)
  const type = 'application/x-www-form-urlencoded'
  const names = 'content-type;host;x-amz-date'
  const headers = `content-type:${type}\nhost:127.0.0.1:${minio.port}\nx-amz-date:${time}\n`
  const scope = `${day}/us-east-1/sts/aws4_request`
  const request = ['POST', '/', '', headers, names, hash(body)].join('\n')
  const text = ['AWS4-HMAC-SHA256', time, scope, hash(request)].join('\n')
  const key = ['us-east-1', 'sts', 'aws4_request'].reduce(hmac, hmac(`AWS4${minio.secretAccessKey}`, day))
  const signature = hmac(key, text).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${minio.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`
  return { 'content-type': type, 'x-amz-date': time, authorization }
}
