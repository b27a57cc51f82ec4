import { type FindServerOptions, findGoServer } from './find-go-server.js'

export type FindMinioOptions = FindServerOptions

const MINIO = {
  title: 'MinIO',
  program: 'minio',
  module: 'github.com/minio/minio@latest',
  variable: 'MINIO_BIN',
  probe: ['--version'],
}

/**
 * The path of a MinIO that runs on this machine: `MINIO_BIN`, `PATH`, the cache, or a build that takes some minutes.
 *
 * @throws Error that names every way and why it did not work; its first line is a reason to skip tests with
 */
export function findMinio(options: FindMinioOptions = {}): Promise<string> {
  return findGoServer(MINIO, options)
}
