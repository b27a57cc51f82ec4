import { type FindServerOptions, findGoServer } from './find-go-server.js'

const FAKE_GCS = {
  title: 'fake-gcs-server',
  program: 'fake-gcs-server',
  module: 'github.com/fsouza/fake-gcs-server@latest',
  variable: 'FAKE_GCS_BIN',
  probe: ['-help'],
}

/**
 * The path of a fake-gcs-server that runs on this machine: `FAKE_GCS_BIN`, `PATH`, the cache, or a build that takes some
 * minutes.
 *
 * @throws Error that names every way and why it did not work; its first line is a reason to skip tests with
 */
export function findFakeGcs(options: FindServerOptions = {}): Promise<string> {
  return findGoServer(FAKE_GCS, options)
}
