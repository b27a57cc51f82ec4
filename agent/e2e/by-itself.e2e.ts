import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createTlsFiles, findMongod, temporaryFolder } from '@pbmkit/conformance/testbed'
import {
  type Config,
  findDrill,
  Notifier,
  PluginHost,
  parseConfig,
  readRunDocuments,
  type ScheduleConfig,
  Scheduler,
  writeSchedules,
  writeWholeConfig,
} from '@pbmkit/core'
import { startMailServer } from '../src/notify/mail-server.support.js'
import { type Cluster, loadSmallData, outputs, startCluster, until } from './cluster.support.js'

const HOUR = 3_600_000
const PAGE = fileURLToPath(new URL('../../../docs/operations.md', import.meta.url))
/** A Friday in winter, at noon. */
const BEGIN = Date.parse('2031-02-07T12:00:00Z')

/** The file of "From a fresh replica set to backups by themselves". */
async function documentedFile(): Promise<string> {
  const [, yaml] = /by themselves\n[\s\S]*?```yaml\n([\s\S]*?)```/.exec(await readFile(PAGE, 'utf8')) ?? []
  assert.ok(yaml !== undefined)
  return yaml
}

describe('the file of the operations page', () => {
  let cluster: Cluster
  let webhooks: { path: string; text: string }[]
  let server: Server
  let mail: Awaited<ReturnType<typeof startMailServer>>
  let agentOptions: { args: string[]; env: NodeJS.ProcessEnv }
  let config: Config
  const host = new PluginHost({ resolveFrom: import.meta.url })
  const own = () => cluster.leader.db('admin').collection<{ _id: string }>('pbmConfig')
  const lastOf = async (name: string) => (await readRunDocuments(cluster.leader)).states[name]?.last

  before(async () => {
    cluster = await startCluster({ agents: 0 })
    await loadSmallData(cluster.admin)
    webhooks = []
    server = createServer((message, response) => {
      let body = ''
      message.on('data', (data: Buffer) => {
        body += String(data)
      })
      message.on('end', () => {
        webhooks.push({ path: message.url ?? '', text: (JSON.parse(body) as { text: string }).text })
        response.end()
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const folder = await temporaryFolder('pbmkit-by-itself-')
    const { ca, server: certificate } = await createTlsFiles(folder)
    mail = await startMailServer({ certificate, password: 'secret of the mail' })
    const password = join(folder, 'notify-smtp')
    await writeFile(password, 'secret of the mail\n')
    const hook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/`
    const allowed = ['--allow-notify', hook, '--allow-notify', `localhost:${mail.port}`]
    const state = {
      PBM_STATE_FOLDER: await temporaryFolder('pbmkit-by-itself-'),
      PBM_SCRATCH_MONGOD: await findMongod(),
    }
    agentOptions = { args: allowed, env: { ...state, PBM_NOTIFY_CHAT_URL: `${hook}T1`, NODE_EXTRA_CA_CERTS: ca } }
    const orders = Array.from({ length: 1000 }, () => ({ at: new Date() }))
    await cluster.admin.db('shop').collection('orders').insertMany(orders)
    const yaml = await documentedFile()
    assert.ok(yaml.split('\n').length < 40)
    const placed = yaml
      .replace('path: /backups', `path: ${cluster.storage}`)
      .replace('host: smtp.example.net', `host: localhost, port: ${mail.port}`)
      .replace('/run/secrets/notify-smtp', password)
    config = await parseConfig(placed, host)
  })
  after(async () => {
    await cluster.stop()
    await mail.close()
    server.close()
  })

  it('has each thing done at its time', async () => {
    const { leader } = cluster
    await writeWholeConfig(leader, config, host, BEGIN)
    const silent = { debug() {}, info() {}, warning() {}, error() {} }
    const scheduler = new Scheduler({ leader, self: { rs: 'rs', node: 'test:1' }, log: () => silent })
    const commands = leader.db('admin').collection('pbmCmd')
    const done: string[] = []
    for (let now = BEGIN; now <= BEGIN + 48 * HOUR; ) {
      const again = await scheduler.look(await readRunDocuments(leader), now)
      for (const { cmd, backup, cleanup, verify } of await commands
        .find()
        .sort({ _id: 1 })
        .skip(done.length)
        .toArray()) {
        const keys = Object.keys(cleanup ?? verify ?? {}).join()
        const detail = backup === undefined ? keys : `${backup.type} ${backup.compression}`
        done.push(`${new Date(now).toISOString().slice(8, 16)} ${cmd} ${detail}`.trim())
      }
      // Nobody takes it up, so what was sent ends after a minute.
      now = again - now < 10_000 ? now + 61_000 : again
    }
    // 2:30 and 6:30 in Berlin, and 7:00; on Sunday 8:00.
    const daily = ['08', '09'].flatMap((day) => [
      `${day}T01:30 backup logical zstd`,
      `${day}T05:30 cleanup olderThan,profile,lifecycleAt`,
      `${day}T07:00 deletePitr`,
    ])
    assert.deepEqual(done, [...daily, '09T08:00 verify all,since,readData'])
  })

  it('tells who asked when no backup comes', async () => {
    const { leader } = cluster
    let now = BEGIN
    const clock = { now: () => now, sleep: async () => undefined }
    const told: string[] = []
    const log = { debug() {}, info() {}, warning() {}, error() {} }
    const send = async ({ notice, to }: { notice: { event: string; state?: string }; to: string }) => {
      if (notice.event === 'late') told.push(`${(now - BEGIN) / HOUR} h: ${to} ${notice.state}`)
    }
    const notifier = new Notifier({ leader, clock, log, send })
    for (const hours of [0, 25, 27, 49, 51]) {
      now = BEGIN + hours * HOUR
      notifier.wake()
      while (await notifier.look(await readRunDocuments(leader)));
      await notifier.underWay
    }
    assert.deepEqual(told, ['27 h: chat firing', '51 h: chat firing', '51 h: mail firing'])
    for (const collection of ['pbmCmd', 'pbmLog']) await leader.db('admin').collection(collection).drop()
    await own().deleteMany({ _id: /^pbmkit/ as unknown as string })
  })

  /** A cron expression for the second so far ahead, and that time. */
  const soon = (seconds: number) => {
    const tick = (Math.floor(Date.now() / 1000) + seconds) * 1000
    const time = new Date(tick)
    const cron = `${time.getUTCSeconds()} ${time.getUTCMinutes()} ${time.getUTCHours()} * * *`
    return { tick, cron, timezone: 'UTC' }
  }

  it('has real agents back up, and tell by webhook and mail', async () => {
    const { leader, set } = cluster
    await Promise.all(set.members.map((member) => cluster.startAgent(member, agentOptions)))
    await writeWholeConfig(leader, config, host, Date.now())
    await cluster.agentsWell()
    const { tick, ...times } = soon(3)
    const broken: ScheduleConfig = { name: 'broken', do: 'backup', profile: 'nowhere', ...times }
    const { tick: _, ...later } = soon(8)
    const { tick: __, ...last } = soon(12)
    const changes: Readonly<Record<string, object>> = { nightly: times, proof: later, drill: last }
    const change = (one: ScheduleConfig): ScheduleConfig => ({ ...one, ...changes[one.name] })
    await writeSchedules(leader, (schedules) => [...schedules.map(change), broken], Date.now())
    await until('the backup', async () => (await lastOf('nightly'))?.tick === tick)
    assert.equal((await lastOf('nightly'))?.status, 'done', outputs(cluster))
    await until('the webhook', async () => webhooks.some(({ text }) => text.includes('broken')), 60)
    const { path = '', text = '' } = webhooks.find((one) => one.text.includes('broken')) ?? {}
    assert.deepEqual([path, text.startsWith(`${set.name}: backup of the schedule broken`)], ['/hooks/T1', true])
    const name = (await lastOf('nightly'))?.name ?? 'none'
    await until('the mail', async () => mail.mails.some((one) => one.includes(`backup ${name}: done`)), 60)
    await until('the verification', async () => (await lastOf('proof')) !== undefined)
    assert.equal((await lastOf('proof'))?.status, 'done', outputs(cluster))
    await until('the drill', async () => (await lastOf('drill')) !== undefined, 60)
    const { status, why, opid = '' } = (await lastOf('drill')) ?? {}
    assert.deepEqual([status, why], ['done', undefined], outputs(cluster))
    const [drilled] = await findDrill(leader, opid)
    assert.deepEqual(
      drilled?.report?.checks.map(({ ns, count }) => [ns, count]),
      [['shop.orders', 1000]],
    )
    assert.notEqual(drilled?.report?.node, (await set.primary()).host)
    assert.equal(outputs(cluster).includes('secret of the mail'), false)
  })

  it('loses none when another agent has to lead between two times', async () => {
    const { leader, set, agents } = cluster
    const { tick, ...times } = soon(6)
    const change = (one: ScheduleConfig) => (one.name === 'nightly' ? { ...one, ...times } : one)
    await writeSchedules(leader, (schedules) => schedules.map(change), Date.now())
    const before = (await set.primary()).host
    await agents.find(({ member }) => member.host === before)?.stop('SIGKILL')
    await set.stepDown()
    await until('the backup', async () => (await lastOf('nightly').catch(() => undefined))?.tick === tick, 90)
    assert.equal((await lastOf('nightly'))?.status, 'done', outputs(cluster))
    const backups = leader.db('admin').collection('pbmBackups')
    assert.equal(await backups.countDocuments({ status: 'done' }), 2)
  })
})
