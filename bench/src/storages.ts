import { createHmac } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  removeTemporaryFolder,
  startAzurite,
  startFakeGcs,
  startMinio,
  startSftp,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import type { StorageConfig } from '@pbmkit/core'

/** A running storage, as pbmkit and rclone are told of it. */
export interface RunningStorage {
  /** The server, for the table. */
  readonly server: string
  readonly config: StorageConfig
  readonly rclone: {
    /** Keys of its configuration, of a remote. */
    readonly remote: Readonly<Record<string, string>>
    /** What stands between the remote and an object's name. */
    readonly folder: string
  }
  /** The file of an object that pbmkit has made safe from a loss of power when it is stored, and rclone has not. */
  readonly flushed?: (name: string) => string
  stop(): Promise<void>
}

const BUCKET = 'bench'

/** By the name of their plugin. Reject when their server can't be had. */
export const STORAGES: Readonly<Record<string, () => Promise<RunningStorage>>> = {
  filesystem: async () => {
    const path = await temporaryFolder('pbmkit-bench-')
    return {
      server: 'this disk',
      config: { type: 'filesystem', filesystem: { path } },
      rclone: { remote: { type: 'local' }, folder: path },
      flushed: (name) => join(path, name),
      stop: () => removeTemporaryFolder(path),
    }
  },
  s3: async () => {
    const { endpoint, accessKeyId, secretAccessKey, dataFolder, stop } = await startMinio()
    // To MinIO, a folder is a bucket.
    await mkdir(join(dataFolder, BUCKET))
    const credentials = { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey }
    const keys = { access_key_id: accessKeyId, secret_access_key: secretAccessKey }
    return {
      server: 'MinIO',
      config: { type: 's3', s3: { bucket: BUCKET, endpointUrl: endpoint, credentials } },
      rclone: { remote: { type: 's3', provider: 'Minio', endpoint, ...keys, no_check_bucket: 'true' }, folder: BUCKET },
      stop,
    }
  },
  gcs: async () => {
    const { endpoint, createBucket, stop } = await startFakeGcs()
    await createBucket(BUCKET)
    const remote = { type: 'google cloud storage', anonymous: 'true', endpoint: `${endpoint}/storage/v1/` }
    return {
      server: 'fake-gcs-server',
      config: { type: 'gcs', gcs: { bucket: BUCKET, endpointUrl: endpoint } },
      rclone: { remote: { ...remote, no_check_bucket: 'true', bucket_policy_only: 'true' }, folder: BUCKET },
      stop,
    }
  },
  azure: async () => {
    const { account, key, endpoint, createContainer, stop } = await startAzurite()
    await createContainer(BUCKET)
    const azure = { account, container: BUCKET, endpointUrl: endpoint, credentials: { key } }
    return {
      server: 'Azurite',
      config: { type: 'azure', azure },
      // With a key, it takes no endpoint but Azure's own.
      rclone: { remote: { type: 'azureblob', sas_url: `${endpoint}?${accountSas(account, key)}` }, folder: BUCKET },
      stop,
    }
  },
  sftp: async () => {
    const { host, port, username, folder, privateKeyFile, fingerprint, stop } = await startSftp()
    const sftp = { host, port, username, path: folder, privateKeyFile, hostKeyFingerprint: fingerprint }
    const remote = { type: 'sftp', host, port: String(port), user: username, key_file: privateKeyFile }
    return {
      server: 'OpenSSH',
      config: { type: 'sftp', sftp },
      // There is no shell behind it. Any key of the server will do.
      rclone: { remote: { ...remote, shell_type: 'none' }, folder },
      flushed: (name) => join(folder, name),
      stop,
    }
  },
}

/** A token for all of an account's blobs (learn.microsoft.com: "Create an account SAS"). */
function accountSas(account: string, key: string): string {
  const [permissions, services, types, version] = ['rwdlac', 'b', 'sco', '2018-11-09']
  const expiry = new Date(Date.now() + 86_400_000).toISOString().replace(/\.\d+/, '')
  // No start, no addresses; either protocol.
  const signed = [account, permissions, services, types, '', expiry, '', 'https,http', version, ''].join('\n')
  const sig = createHmac('sha256', Buffer.from(key, 'base64')).update(signed).digest('base64')
  const query = { sv: version, ss: services, srt: types, sp: permissions, se: expiry, spr: 'https,http', sig }
  return new URLSearchParams(query).toString()
}
