import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startAzurite, startFakeGcs, startMinio, startSftp } from '@pbmkit/conformance/testbed'
import type { ExampleNeed } from './examples.js'

export interface ExampleStorage {
  /** What a configuration has under the storage's name. */
  readonly options: object
  stop(): Promise<void>
}

/** The first storage that an example needs; rejects where its server can't be had. */
export async function startStorage(needs: readonly ExampleNeed[]): Promise<ExampleStorage | undefined> {
  const need = needs.find((each) => each in STORAGES)
  return need === undefined ? undefined : STORAGES[need]?.()
}

const STORAGES: { readonly [Need in ExampleNeed]?: () => Promise<ExampleStorage> } = {
  azure: async () => {
    const { account, key, endpoint, createContainer, stop } = await startAzurite()
    await createContainer('backups')
    return { options: { account, container: 'backups', endpointUrl: endpoint, credentials: { key } }, stop }
  },
  gcs: async () => {
    const { endpoint, createBucket, stop } = await startFakeGcs()
    await createBucket('backups')
    return { options: { bucket: 'backups', endpointUrl: endpoint }, stop }
  },
  s3: async () => {
    const { endpoint, accessKeyId, secretAccessKey, dataFolder, stop } = await startMinio()
    // A folder of its disk is a bucket.
    await mkdir(join(dataFolder, 'backups'))
    const credentials = { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey }
    return { options: { bucket: 'backups', endpointUrl: endpoint, credentials }, stop }
  },
  sftp: async () => {
    const { host, port, username, folder, privateKeyFile, fingerprint, stop } = await startSftp()
    const options = { host, port, username, path: folder, privateKeyFile, hostKeyFingerprint: fingerprint }
    return { options, stop }
  },
}
