import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Cluster, startCluster, until } from './cluster.support.js'
import type { ShownSchedule } from './schedules.js'

/** What happens by itself, set up and looked at. One story, in order. */
describe('pbm schedule, notify', () => {
  let cluster: Cluster
  let server: Server
  let hook: string
  const seen: string[] = []

  before(async () => {
    server = createServer((message, response) => {
      message.resume().on('end', () => {
        seen.push(message.url ?? '')
        response.end()
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const place = `127.0.0.1:${(server.address() as AddressInfo).port}`
    hook = `http://${place}/hook`
    cluster = await startCluster()
    const input = `storage: {type: filesystem, filesystem: {path: ${cluster.folder}/backups}}\n`
    assert.equal((await cluster.pbm(['config', '--file', '-'], { input })).code, 0)
    await cluster.startAgent(undefined, { PBM_ALLOW_NOTIFY: place })
    await until('the agent', async () => (await cluster.pbm(['status', '-s', 'cluster'])).stdout.includes('OK'))
  })
  after(async () => {
    await cluster.stop()
    server.close()
  })

  const ok = async (...args: string[]) => {
    const ended = await cluster.json(args)
    assert.equal(ended.code, 0, `${args.join(' ')}: ${ended.stderr}${ended.stdout}`)
    return ended.value
  }
  const refused = async (...args: string[]) => {
    const ended = await cluster.json(args)
    assert.notEqual(ended.code, 0, args.join(' '))
    return ended.value as { Error: string; code: string }
  }
  const listed = async () => ((await ok('schedule')) as { schedules: ShownSchedule[] }).schedules
  const file = (more: string) => `storage: {type: filesystem, filesystem: {path: ${cluster.folder}/backups}}\n${more}`

  it('adds, pauses, resumes and removes schedules, and refuses what could never be done', async () => {
    assert.deepEqual(await listed(), [])
    await ok('schedule', 'add', 'nightly', '--cron', '30 2 * * *', '--timezone', 'Europe/Berlin', '--no-catch-up')
    await ok(
      'schedule',
      'add',
      'old',
      '--do',
      'cleanup',
      '--older-than',
      '30d',
      '--cron',
      '@weekly',
      '--overlap',
      'skip',
    )
    const [nightly, old] = await listed()
    const { next = '', ...kept } = nightly ?? {}
    assert.deepEqual(kept, {
      ...{ name: 'nightly', do: 'backup', cron: '30 2 * * *', timezone: 'Europe/Berlin', catchUp: false },
    })
    assert.ok(Date.parse(next) > Date.now())
    assert.deepEqual([old?.olderThan, old?.overlap], ['30d', 'skip'])
    for (const [args, pattern] of [
      [['nightly', '--cron', '0 2 * * *'], /already/],
      [['x', '--cron', 'nightly'], /no cron expression/],
      [['x', '--cron', '0 2 * * *', '--do', 'cleanup'], /olderThan: is missing/],
      [['x', '--cron', '0 2 * * *', '--ns', 'admin.*'], /database admin/],
      [['x', '--cron', '0 2 * * *', '--profile', 'nowhere'], /no profile 'nowhere'/],
      [['x', '--cron', '0 2 * * *', '--do', 'lifecycle', '--type', 'physical'], /does not go with do: lifecycle/],
    ] as const)
      assert.match((await refused('schedule', 'add', ...args)).Error, pattern)
    assert.equal((await refused('schedule', 'pause', 'none')).code, 'SCHEDULE_UNKNOWN')
    await ok('schedule', 'pause', 'nightly')
    assert.match(
      (await cluster.pbm(['schedule', 'list'])).stdout,
      /nightly +backup +30 2 \* \* \* Europe\/Berlin +paused/,
    )
    await ok('schedule', 'resume', 'nightly')
    await ok('schedule', 'remove', 'old')
    assert.deepEqual(
      (await listed()).map(({ name, enabled }) => [name, enabled]),
      [['nightly', undefined]],
    )
  })

  it('does now what is due later, and shows how it ended', async () => {
    const told = (await ok('schedule', 'run', 'nightly', '--wait')) as { name: string; status: string }
    assert.equal(told.status, 'done')
    const { snapshots } = (await ok('list')) as { snapshots: { name: string }[] }
    assert.deepEqual(
      snapshots.map(({ name }) => name),
      [told.name],
    )
    const last = async () => (await listed())[0]?.last
    await until('the agent to note the end', async () => (await last()) !== undefined)
    assert.deepEqual([(await last())?.status, (await last())?.name], ['done', told.name])
    assert.match((await cluster.pbm(['status'])).stdout, /Schedules:\n +NAME[\s\S]*nightly[\s\S]*done/)
  })

  it('keeps schedules apart from the configuration, and shows them with it', async () => {
    const ended = await cluster.pbm(['config', '--file', '-'], { input: file('pitr: {oplogSpanMin: 2}\n') })
    assert.match(ended.stderr, /schedules stay as they were/)
    assert.match(ended.stdout, /schedules:\n {2}- name: nightly/)
    const shown = (await cluster.pbm(['config'])).stdout
    assert.equal((await cluster.pbm(['config', '--file', '-'], { input: shown })).code, 0)
    assert.equal((await cluster.pbm(['config'])).stdout, shown)
    assert.match((await cluster.pbm(['config', 'schedules'])).stdout, /nightly/)
    assert.match((await refused('config', '--set', 'schedules=x')).Error, /is a list/)
    const wrong = `pitr: {oplogSpanMin: 3}\nschedules:
  - {name: far, do: backup, cron: 0 2 * * *, profile: nowhere}
  - {name: part, do: backup, cron: 0 2 * * *, ns: admin.*}\n`
    const { stderr } = await cluster.pbm(['config', '--file', '-'], { input: file(wrong) })
    assert.match(stderr, /schedules\.0\.profile: there is no profile 'nowhere'.*pbm profile add nowhere/)
    assert.match(stderr, /schedules\.1\.ns: .*database admin/)
    assert.equal((await cluster.pbm(['config'])).stdout, shown)
    await cluster.pbm(['config', '--file', '-'], { input: file('schedules: []\n') })
    assert.deepEqual(await listed(), [])
    assert.equal((await cluster.pbm(['status'])).stdout.includes('Schedules'), false)
  })

  it('has an agent send a test, and tells what became of it', async () => {
    assert.equal((await refused('notify', 'test')).code, 'NOTIFICATION_UNKNOWN')
    const input = file(`notifications:
  - {name: ops, on: [failed], webhook: {url: ${hook}}}
  - {name: elsewhere, on: [failed], webhook: {url: 'http://127.0.0.1:9/'}}\n`)
    assert.equal((await cluster.pbm(['config', '--file', '-'], { input })).code, 0)
    assert.equal((await refused('notify', 'test', 'none')).code, 'NOTIFICATION_UNKNOWN')
    const both = await cluster.json(['notify', 'test'])
    assert.equal(both.code, 1)
    assert.deepEqual(seen, ['/hook'])
    const { results } = both.value as { results: { name: string; error?: string }[] }
    assert.deepEqual(
      results.map(({ name, error }) => [name, error === undefined]),
      [
        ['ops', true],
        ['elsewhere', false],
      ],
    )
    assert.match(results[1]?.error ?? '', /may not send to 127\.0\.0\.1:9/)
    const status = (await ok('status', '-s', 'notifications')) as { notifications: { name: string; waiting: number }[] }
    assert.deepEqual(
      status.notifications.map(({ name, waiting }) => [name, waiting]),
      [
        ['ops', 0],
        ['elsewhere', 0],
      ],
    )
  })
})
