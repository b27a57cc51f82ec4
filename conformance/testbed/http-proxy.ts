import { execFile } from 'node:child_process'
import { createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { promisify } from 'node:util'

/** A proxy as companies have it, that notes what it was asked for. */
export interface HttpProxy {
  readonly url: string
  /** `CONNECT host:443` for TLS, `GET http://host/path` without. */
  readonly seen: readonly string[]
  stop(): Promise<void>
}

/** Starts a proxy on this machine. `refuse`: it answers 403 to every request for TLS, so that nothing leaves the machine. */
export async function startHttpProxy({ refuse = false } = {}): Promise<HttpProxy> {
  const seen: string[] = []
  const server = createServer((asked: IncomingMessage, answer) => {
    seen.push(`${asked.method} ${asked.url}`)
    const { hostname, port, pathname, search } = new URL(asked.url ?? '')
    const { method, headers } = asked
    const passed = request({ host: hostname, port, path: pathname + search, method, headers }, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers)
      got.pipe(answer)
    })
    passed.on('error', () => answer.writeHead(502).end())
    asked.pipe(passed)
  })
  server.on('connect', ({ url = '' }: IncomingMessage, socket) => {
    seen.push(`CONNECT ${url}`)
    socket.on('error', () => undefined)
    if (refuse) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      return
    }
    const { hostname, port } = new URL(`http://${url}`)
    const target = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      target.pipe(socket).pipe(target)
    })
    target.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Opens storages, as `[plugin's module, options of each]`, and fails unless each is refused with a code of storages. */
const OPEN = `
import assert from 'node:assert/strict'
const [module, all] = JSON.parse(process.argv[1])
const { default: plugin } = await import(module)
const context = { signal: new AbortController().signal, warn: () => undefined }
for (const options of all) await assert.rejects(async () => plugin.open(options, context), { code: /^STORAGE_/ })
`

/**
 * What HTTPS_PROXY is asked for while a storage tries `storage.invalid`, and `near.invalid`, which is in NO_PROXY. Nobody has
 * such hosts, and the proxy refuses: each try must be rejected with a code of storages. In a process of its own, for some
 * vendors' libraries read these variables once.
 *
 * @param module URL of the module whose default export is the plugin
 */
export async function askedOfProxy(module: string, options: (host: string) => unknown): Promise<string[]> {
  const proxy = await startHttpProxy({ refuse: true })
  try {
    const all = ['storage.invalid', 'near.invalid'].map(options)
    const env = { ...process.env, HTTPS_PROXY: proxy.url, NO_PROXY: 'near.invalid' }
    const args = ['--input-type=module', '--eval', OPEN, JSON.stringify([module, all])]
    await promisify(execFile)(process.execPath, args, { env })
    return [...new Set(proxy.seen)]
  } finally {
    await proxy.stop()
  }
}
