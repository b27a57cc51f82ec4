import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorText, type NotificationConfig, PluginHost } from '@pbmkit/core'
import { startMailServer } from './mail-server.support.js'
import { noticeSender } from './send.js'

const NOTICE = {
  id: '1',
  event: 'failed',
  subject: 'backup x: failed',
  text: 'backup x: failed: no "room"',
  at: 0,
} as const

describe('a notice', () => {
  let folder: string
  let server: Server
  let place: string
  let answer: { status: number; headers?: Record<string, string> }
  let seen: { message: IncomingMessage; body: string }[]
  const host = new PluginHost({ resolveFrom: import.meta.url })

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-notify-'))
    server = createServer((message, response) => {
      let body = ''
      message.on('data', (data: Buffer) => {
        body += String(data)
      })
      message.on('end', () => {
        seen.push({ message, body })
        response.writeHead(answer.status, answer.headers).end('inner secret')
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    place = `127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(async () => {
    server.close()
    await rm(folder, { recursive: true })
  })
  beforeEach(() => {
    answer = { status: 200 }
    seen = []
  })

  const send = (webhook: NotificationConfig['webhook'], allowed: string[] = [place]) =>
    noticeSender({
      ...{ cluster: 'rs0', host, allowed, signal: new AbortController().signal },
      localAccess: { folders: [folder], commands: [] },
    })(
      { notice: NOTICE, to: 'ops', channel: 'webhook', attempts: 0, notBefore: 0 },
      { name: 'ops', on: ['failed'], ...(webhook !== undefined && { webhook }) },
    )
  const refusal = async (webhook: NotificationConfig['webhook'], allowed?: string[]) =>
    errorText(
      await send(webhook, allowed).then(
        () => 'sent',
        (error: unknown) => error,
      ),
    )

  it('is posted as JSON, or as the template has it, with secrets from where they are named', async () => {
    const file = join(folder, 'notify-token')
    await writeFile(file, 'Bearer abc\n')
    await send({ url: `http://${place}/hook`, headersFrom: { Authorization: { file } } })
    await send({ url: `http://${place}/`, template: '{"say": "{{cluster}}: {{text}}"}' })
    const [first, second] = seen
    assert.deepEqual([first?.message.method, first?.message.url], ['POST', '/hook'])
    assert.deepEqual(
      [first?.message.headers.authorization, first?.message.headers['content-type']],
      ['Bearer abc', 'application/json'],
    )
    assert.deepEqual(JSON.parse(first?.body ?? ''), {
      ...{ event: 'failed', state: '', subject: NOTICE.subject, text: NOTICE.text, cluster: 'rs0' },
      ...{ operation: '', name: '', error: '', time: '1970-01-01T00:00:00Z' },
    })
    assert.deepEqual(JSON.parse(second?.body ?? ''), { say: `rs0: ${NOTICE.text}` })
  })

  it('goes nowhere that the settings of the agent do not name', async () => {
    const url = `http://${place}/hook`
    for (const allowed of [
      [],
      ['127.0.0.1'],
      ['127.0.0.1:1'],
      ['localhost'],
      [`http://${place}/hoo`],
      [`https://${place}/`],
    ])
      assert.match(await refusal({ url }, allowed), /may not send to 127\.0\.0\.1/, String(allowed))
    assert.match(await refusal({ url: `http://${place}/a/../b` }, [`http://${place}/a`]), /may not send/)
    assert.deepEqual(seen, [])
    await send({ url }, [`http://${place}/hook`])
    await send({ url: `${url}/deeper?x=1` }, [`http://${place}/hook`])
    assert.equal(seen.length, 2)
  })

  it('follows no redirection, and tells nothing of what it was answered', async () => {
    answer = { status: 302, headers: { Location: `http://${place}/other` } }
    const told = await refusal({ url: `http://${place}/` })
    assert.match(told, /answered 302: redirections are not followed/)
    assert.equal(seen.length, 1)
    answer = { status: 500 }
    assert.doesNotMatch(await refusal({ url: `http://${place}/` }), /inner secret/)
  })

  it('takes secrets only from where the agent allows, wherever links lead, and shows none', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'pbmkit-outside-'))
    await writeFile(join(outside, 'key'), 'outer secret')
    const file = join(folder, 'notify-link')
    await symlink(join(outside, 'key'), file)
    assert.match(
      await refusal({ url: `http://${place}/`, headersFrom: { 'X-Key': { file } } }),
      /files may be read only from/,
    )
    await rm(outside, { recursive: true })
    const odd = join(folder, 'notify-odd')
    await writeFile(odd, 'two\nlines of a secret')
    const told = await refusal({ url: `http://${place}/`, headersFrom: { 'X-Key': { file: odd } } })
    assert.match(told, /not one line/)
    assert.doesNotMatch(told, /secret\b.*two|lines of/)
    assert.match(await refusal({ urlFrom: { env: 'PBM_NOTIFY_NONE' } }), /PBM_NOTIFY_NONE is not set/)
    assert.deepEqual(seen, [])
  })

  it('goes by mail', async () => {
    const mail = await startMailServer()
    const file = join(folder, 'notify-smtp')
    await writeFile(file, 'pass')
    const smtp = { host: '127.0.0.1', port: mail.port, tls: 'none' as const }
    const email = { from: 'pbm@example.net', to: ['ops@example.net'], smtp }
    const sender = (allowed: string[]) =>
      noticeSender({
        ...{ cluster: 'rs0', host, allowed, signal: new AbortController().signal },
        localAccess: { folders: [folder], commands: [] },
      })(
        { notice: NOTICE, to: 'ops', channel: 'email', attempts: 0, notBefore: 0 },
        { name: 'ops', on: ['failed'], email },
      )
    await assert.rejects(sender([]), /may not send to 127\.0\.0\.1/)
    await sender([`127.0.0.1:${mail.port}`])
    await mail.close()
    assert.equal(mail.mails.length, 1)
    assert.match(mail.mails[0] ?? '', /Subject: \[pbm rs0\] backup x: failed\r\n/)
    assert.match(mail.mails[0] ?? '', /no "room"/)
  })
})
