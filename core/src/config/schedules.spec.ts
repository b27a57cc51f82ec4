import assert from 'node:assert/strict'
import { PluginHost } from '../plugin-host/host.js'
import { parseConfig } from './parse.js'

const host = new PluginHost({ resolveFrom: import.meta.url })

async function faultsOf(section: string): Promise<string[]> {
  const error: unknown = await parseConfig(`${section}\n`, host).catch((reason: unknown) => reason)
  assert.ok(error instanceof Error, 'it is refused')
  return error.message
    .split('\n')
    .slice(error.message.includes('\n') ? 1 : 0)
    .filter((line) => !/storage/.test(line))
    .map((line) => line.replace(/^invalid configuration: /, ''))
}

describe('schedules in the configuration', () => {
  it('are refused together, each with its line', async () => {
    const yaml = `schedules:
  - {name: a, cron: 0 2 * * *, do: backup, type: physical, ns: shop.*}
  - {name: a, cron: nightly, do: backup}
  - {name: c, cron: 0 2 * * *, do: dream}
  - {name: s, cron: '*/10 * * * * *', do: backup}
  - {name: d, cron: 0 2 * * *, timezone: Middle/Earth, do: cleanup}
  - {name: e.f, cron: 0 2 * * *, do: lifecycle, type: logical, when: never}
  - {name: g, cron: 0 2 * * *, do: delete-pitr, olderThan: often}`
    assert.deepEqual(await faultsOf(yaml), [
      'line 2: schedules.0.ns: does not go with type: physical, which is a backup of all data',
      'line 3: schedules.1.name: stands here a second time',
      'line 3: schedules.1.cron: is no cron expression; write minute, hour, day, month and weekday: 30 2 * * * is each day at 2:30',
      'line 4: schedules.2.do: must be backup, lifecycle, cleanup, delete-pitr, verify or drill, not "dream"',
      'line 5: schedules.3.cron: comes more often than once a minute; leave the seconds out, or write one: 0 30 2 * * *',
      'line 6: schedules.4.timezone: is no time zone; write it as the IANA does: Europe/Berlin, UTC',
      'line 6: schedules.4.olderThan: is missing; do: cleanup needs it',
      'line 7: schedules.5.when: unknown key',
      'line 7: schedules.5.name: must be: up to 64 letters, digits, - and _, a letter or digit first, not "e.f"',
      'line 7: schedules.5.type: does not go with do: lifecycle',
      'line 8: schedules.6.olderThan: must be: a number with s, m, h or d: 45m, 26h, 30d, not "often"',
    ])
  })
})

describe('notifications in the configuration', () => {
  it('are refused where they could reach or tell what they must not', async () => {
    const yaml = `notifications:
  - {name: a, on: [failed], webhook: {url: 'file:///etc/passwd'}}
  - {name: b, on: [failed], webhook: {url: 'https://user:pw@example.net/'}}
  - {name: c, on: [failed], webhook: {url: https://x.example/, headers: {Authorization: Bearer x, Host: y}}}
  - {name: d, on: [failed], webhook: {url: https://x.example/, headersFrom: {X-Key: {env: PBM_MONGODB_URI}}}}
  - {name: e, on: [failed], webhook: {url: https://x.example/, headersFrom: {X-Key: {file: /etc/pbm/aes.key}}}}
  - {name: f, on: [failed], webhook: {url: https://x.example/, template: '{"a": "{{password}}"}'}}
  - {name: g, on: [failed], webhook: {url: https://x.example/, template: '{{text}}'}}
  - {name: h, on: [late], webhook: {url: https://x.example/}}
  - {name: i, on: [succeeded]}
  - {name: j, on: [failed], email: {from: "a@b\\nBcc: x@y", to: [ops@example.net], smtp: {host: h, user: u, tls: none}}}
  - {name: k, on: [broken], webhook: {url: https://x.example/, command: [sh]}}`
    const told = (await faultsOf(yaml)).map((line) => line.replace(/^line \d+: notifications\.\d+\./, ''))
    assert.deepEqual(
      told.map((line) => line.slice(0, 75)),
      [
        'webhook.url: must be an http or https address',
        'webhook.url: must have no user and password; name the place of an Authorizat',
        "webhook.headers: Host can't be set",
        'webhook.headers: Authorization holds a secret: name its place in headersFrom',
        'webhook.headersFrom.X-Key.env: must be: a variable whose name begins with PBM',
        'webhook.headersFrom.X-Key.file: must be: the absolute path of a file whose na',
        'webhook.template: has {{password}}; there are event, state, subject, text, cl',
        'webhook.template: is no JSON; give another Content-Type in headers, or put ea',
        'expect: is missing; on: late needs how old the newest good backup may be, su',
        'webhook: is missing; say webhook, email or both',
        'email.from: must be: an address: ops@example.net, or Name <ops@example.net>, ',
        'email.smtp.user: user and passwordFrom go together',
        'on.0: must be failed, succeeded, late, gap, damaged or agentLost, not "broken',
        'webhook.command: unknown key; known here: url, urlFrom, headers, headersFrom, ',
      ].map((line) => line.slice(0, 75)),
    )
  })

  it('may be what the documentation shows', async () => {
    const yaml = `notifications:
  - name: chat
    on: [failed, late, gap, damaged, agentLost]
    expect: 26h
    webhook:
      urlFrom: {env: PBM_NOTIFY_CHAT}
      headersFrom: {X-Api-Key: {file: /run/secrets/notify_key}}
      template: '{"text": "{{cluster}}: {{text}}"}'
  - name: mail
    on: [succeeded]
    email: {from: 'Backups <pbm@example.net>', to: [ops@example.net], smtp: {host: smtp.example.net}}`
    assert.deepEqual(await faultsOf(yaml), [])
  })
})
