import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTlsFiles } from './certificates.js'
import { type FindMinioOptions, findMinio } from './find-minio.js'
import { freePort } from './free-port.js'
import { isListening } from './probe.js'
import { type ServerProcess, startServerProcess } from './server-process.js'
import { temporaryFolder } from './supervisor.js'

const START_TIMEOUT_MS = 120_000

export interface MinioOptions extends FindMinioOptions {
  /** A certificate of an authority of its own, that nobody trusts. */
  readonly tls?: boolean
  /** Empty ones that are there from the start. */
  readonly buckets?: readonly string[]
  /** More of MinIO's `MINIO_…` variables. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A running MinIO that listens on 127.0.0.1 only, its data in a folder that goes with it. */
export interface Minio extends ServerProcess {
  /** `http://127.0.0.1:port`, or `https://…`. */
  readonly endpoint: string
  readonly port: number
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** PEM file of the authority of its certificate. */
  readonly caFile: string | undefined
  /** Where objects lie, in MinIO's own format. */
  readonly dataFolder: string
}

/** Starts a MinIO and waits until it serves. Rejects when none can be had; see {@link findMinio}. */
export async function startMinio(options: MinioOptions = {}): Promise<Minio> {
  const binary = await findMinio(options)
  const folder = await temporaryFolder('pbmkit-minio-')
  const [dataFolder, certificates] = [join(folder, 'data'), join(folder, 'certs')]
  await mkdir(dataFolder)
  // MinIO takes a folder for a bucket.
  for (const bucket of options.buckets ?? []) await mkdir(join(dataFolder, bucket))
  await mkdir(certificates)
  const caFile = options.tls === true ? await createCertificate(folder, certificates) : undefined
  const port = await freePort()
  const endpoint = `${caFile === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  const accessKeyId = 'testbed-access'
  const secretAccessKey = 'testbed-secret-4e1b'
  const args = ['server', '--quiet', '--address', `127.0.0.1:${port}`, '--certs-dir', certificates, dataFolder]
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    MINIO_ROOT_USER: accessKeyId,
    MINIO_ROOT_PASSWORD: secretAccessKey,
    MINIO_BROWSER: 'off',
    MINIO_UPDATE: 'off',
    ...options.settings,
  }
  const server = await startServerProcess({
    title: 'MinIO',
    program: binary,
    args,
    env,
    folder,
    startTimeoutMs: START_TIMEOUT_MS,
    isReady: async () => (await isListening(port)) && (await isReady(endpoint)),
  })
  return { ...server, endpoint, port, accessKeyId, secretAccessKey, caFile, dataFolder }
}

/** MinIO wants certificate and key in files of these names. */
async function createCertificate(folder: string, certificates: string): Promise<string> {
  const { ca, server } = await createTlsFiles(folder)
  const both = await readFile(server, 'utf8')
  const key = both.slice(both.indexOf('-----BEGIN PRIVATE KEY-----'))
  await writeFile(join(certificates, 'public.crt'), new X509Certificate(both).toString())
  await writeFile(join(certificates, 'private.key'), key, { mode: 0o600 })
  return ca
}

/** It calls itself ready while it still answers requests with 503. Over TLS that nobody trusts, listening has to do. */
async function isReady(endpoint: string): Promise<boolean> {
  if (endpoint.startsWith('https:')) return true
  const answer = await fetch(endpoint).catch(() => undefined)
  return answer?.status === 403
}
