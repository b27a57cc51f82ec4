import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { storageConformance } from '@pbmkit/conformance'
import plugin from 'pbmkit-storage-webdav'

const folder = await mkdtemp(join(tmpdir(), 'webdav-'))
const server = fork(join(import.meta.dirname, 'server.js'), [folder], { silent: true })
const [port] = await once(server, 'message')
after(async () => {
  server.disconnect()
  await rm(folder, { recursive: true })
})

storageConformance({
  describe,
  it,
  plugin,
  options: () => ({ url: `http://127.0.0.1:${port}/dav/${randomUUID()}` }),
})
