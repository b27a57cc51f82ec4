import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request as secureRequest } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTlsFiles } from '@pbmkit/conformance/testbed'
import { systemClock, until } from '@pbmkit/core'
import { Endpoint } from './endpoint.js'
import type { MetricsSettings } from './settings.js'

const LOOPBACK = { host: '127.0.0.1', port: 0 }

describe('the endpoint of metrics', () => {
  let folder: string
  let endpoint: Endpoint
  let ready = { database: true, storage: true }
  const lines: string[] = []

  const open = async (settings: Partial<MetricsSettings> = {}) => {
    const log = { info: (text: string) => lines.push(text), warn: (text: string) => lines.push(text) }
    endpoint = await Endpoint.open({
      settings: { listen: LOOPBACK, tlsCert: undefined, tlsKey: undefined, users: undefined, ...settings },
      ...{ clock: systemClock, log, readiness: () => ready },
      metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'pbmkit_x 1\n' }),
    })
    await until(async () => endpoint.url !== '', { everyMs: 5, timeoutMs: 5_000 })
    return endpoint.url
  }
  /** What the server says to these very bytes, until it closes the connection. */
  const raw = async (url: string, bytes: string) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.write(bytes)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    return answer
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-metrics-'))
  })
  afterEach(() => endpoint.close())
  after(() => rm(folder, { recursive: true }))

  it('answers GET and nothing else', async () => {
    const url = await open()
    const metrics = await fetch(`${url}/metrics?x=1`)
    assert.deepEqual([metrics.status, await metrics.text()], [200, 'pbmkit_x 1\n'])
    assert.equal(metrics.headers.get('content-type'), 'text/plain; version=0.0.4')
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
    assert.equal((await fetch(`${url}/../etc/passwd`)).status, 404)
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'])
      assert.equal((await fetch(`${url}/metrics`, { method })).status, 405, method)
  })

  it('says what is ready', async () => {
    const url = await open()
    assert.equal((await fetch(`${url}/readyz`)).status, 200)
    ready = { database: true, storage: false }
    const answer = await fetch(`${url}/readyz`)
    assert.deepEqual([answer.status, await answer.text()], [503, 'database: ok\nstorage: not ok\n'])
  })

  it('takes no bodies, no long headers and no other protocol', async () => {
    const url = await open()
    const head = 'GET /metrics HTTP/1.1\r\nHost: x\r\n'
    assert.match(await raw(url, `${head}Content-Length: 5\r\n\r\nhello`), /^HTTP\/1\.1 413 /)
    assert.match(await raw(url, `${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`), /^HTTP\/1\.1 413 /)
    assert.match(await raw(url, `${head}X: ${'y'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /)
    assert.match(await raw(url, '\x16\x03\x01\x02\x00garbage\r\n\r\n'), /^HTTP\/1\.1 400 /)
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
  })

  it('asks for a user where it was told which there are, and takes changed ones', async () => {
    const users = join(folder, 'users')
    await writeFile(users, '# for Prometheus\nprometheus:pass:word\n\nother:x\n')
    const url = await open({ users })
    const status = async (login?: string) => {
      const headers = login === undefined ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
      return (await fetch(`${url}/metrics`, { headers })).status
    }
    assert.deepEqual(
      await Promise.all([
        status('prometheus:pass:word'),
        status('other:x'),
        status(),
        status('prometheus:'),
        status('other:xx'),
      ]),
      [200, 200, 401, 401, 401],
    )
    assert.match((await fetch(`${url}/metrics`)).headers.get('www-authenticate') ?? '', /^Basic /)
    assert.equal((await fetch(`${url}/healthz`)).status, 200, 'probes have no password')
    await writeFile(users, 'prometheus:changed\n')
    assert.deepEqual([await status('prometheus:changed'), await status('prometheus:pass:word')], [200, 401])
    await writeFile(users, 'nonsense\n')
    assert.equal(await status('prometheus:changed'), 200)
    assert.match(lines.at(-1) ?? '', /stay as they were: .*entry 1 is not user:password/)
  })

  it('speaks TLS with the files it is given', async () => {
    const { server, ca } = await createTlsFiles(folder)
    const url = await open({ tlsCert: server, tlsKey: server })
    assert.match(url, /^https:/)
    const { port } = new URL(url)
    const authority = await readFile(ca)
    const status = await new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path: '/metrics', ca: authority }
      secureRequest(options, (response) => resolve(response.statusCode))
        .on('error', reject)
        .end()
    })
    assert.equal(status, 200)
  })

  it('refuses files that are none, and says which', async () => {
    const wrong = join(folder, 'wrong')
    await writeFile(wrong, 'nothing\n')
    await open()
    const files = { tlsCert: wrong, tlsKey: wrong }
    await assert.rejects(open(files), { code: 'SETTINGS_INVALID', message: /wrong.* are no certificate with its key/ })
    await assert.rejects(open({ users: wrong }), { code: 'SETTINGS_INVALID', message: /entry 1 is not user:password/ })
    await assert.rejects(open({ users: join(folder, 'none') }), { code: 'FILE_UNREADABLE' })
  })

  it('waits for a port that another has, and warns of one that others reach', async () => {
    const { port } = new URL(await open())
    const first = endpoint
    const log = { info: () => undefined, warn: (text: string) => lines.push(text) }
    const { promise: slept, resolve: wake } = Promise.withResolvers<void>()
    const second = await Endpoint.open({
      settings: {
        listen: { host: undefined, port: Number(port) },
        tlsCert: undefined,
        tlsKey: undefined,
        users: undefined,
      },
      ...{ clock: { now: Date.now, sleep: () => slept }, log, readiness: () => ready },
      metrics: async () => ({ contentType: 'text/plain', text: '' }),
    })
    await until(async () => lines.some((line) => line.includes('which is tried again')), {
      everyMs: 5,
      timeoutMs: 5_000,
    })
    await first.close()
    wake()
    await until(async () => second.url !== '', { everyMs: 5, timeoutMs: 5_000 })
    assert.match(lines.at(-1) ?? '', /others than this machine can reach/)
    await second.close()
  })
})
