import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createTlsFiles, PBM_USER } from '@pbmkit/conformance/testbed'
import { databaseRole, systemClock } from '@pbmkit/core'
import { MongoClient, Timestamp } from 'mongodb'
import { type Cluster, until } from '../cluster.support.js'
import { Session } from '../session.js'
import type { ClusterSection } from '../status/cluster.js'
import type { RunningSection } from '../status/running.js'
import { PastReader } from './past-reader.js'
import type { History, LogLine, Outcome, Question, Visit as Visited } from './protocol.js'
import { UserVisitors } from './visitors.js'
import { ask, cookieOf, startShop, startWeb, Visit, type Web } from './web.support.js'

const SECRET = 'a-secret-of-the-storage'

describe('pbm web', () => {
  let cluster: Cluster
  let admin: MongoClient
  let web: Web
  let visit: Visit
  let backup: string

  before(async () => {
    cluster = await startShop()
    admin = await cluster.set.client()
    web = await startWeb(cluster.uri)
    visit = await Visit.byToken(web)
  })

  after(async () => {
    await web?.stop()
    await cluster.stop()
  })

  describe('on loopback', () => {
    it('lets in who has the token, and nobody else', async () => {
      const { origin, token } = web
      assert.equal((await ask(`${origin}/`)).status, 401)
      assert.equal((await ask(`${origin}/?token=${token}x`)).status, 401)
      assert.equal((await ask(`${origin}/api/visit`)).status, 401)
      assert.equal((await ask(`${origin}/api/events`)).status, 401)
      const cookie = cookieOf(await ask(web.url))
      assert.ok(cookie !== '' && !cookie.includes(token))
      assert.equal((await ask(`${origin}/`, { headers: { cookie } })).status, 200)
      assert.equal((await ask(`${origin}/api/visit`, { headers: { cookie: `${cookie}x` } })).status, 401)
      const { value } = await visit.get('/api/visit')
      assert.deepEqual(Object.keys(value as Visited).sort(), ['cluster', 'readOnly', 'version'])
    })

    it('answers no page of another site, and no foreign name that leads here', async () => {
      const { headers } = visit
      const refused = async (changed: Record<string, string>, method = 'GET') => {
        const body = method === 'POST' ? { body: { do: 'cancel' } } : {}
        const path = method === 'POST' ? '/api/act' : '/api/visit'
        const { status } = await ask(`${web.origin}${path}`, { method, ...body, headers: { ...headers, ...changed } })
        return status
      }
      assert.equal(await refused({ host: 'evil.example' }), 403)
      assert.equal(await refused({ host: `evil.example:${new URL(web.origin).port}` }), 403)
      assert.equal(await refused({ origin: 'https://evil.example' }), 403)
      assert.equal(await refused({ origin: 'http://127.0.0.1:1' }, 'POST'), 403)
      assert.equal(await refused({ origin: 'null' }, 'POST'), 403)
      assert.equal(await refused({ 'sec-fetch-site': 'same-site' }), 403)
      assert.equal(await refused({ 'content-type': 'text/plain' }, 'POST'), 415)
      const { origin: _, ...without } = headers
      const bare = await ask(`${web.origin}/api/act`, { method: 'POST', body: { do: 'cancel' }, headers: without })
      assert.equal(bare.status, 403)
      // Through a tunnel it has another port.
      const tunnel = { host: 'localhost:9999', origin: 'http://localhost:9999' }
      assert.equal(await refused(tunnel), 200)
    })

    it('has what it loads from itself alone, and no script in the page', async () => {
      const page = await ask(web.url)
      const policy = String(page.headers['content-security-policy'])
      assert.match(policy, /default-src 'none'; script-src 'self';/)
      assert.ok(!policy.includes('unsafe'))
      assert.ok(!/<script(?![^>]* src="\/)|style=|https?:/.test(page.text), page.text)
      for (const path of ['/page.mjs', '/page.css', '/icon.svg'])
        assert.equal((await ask(`${web.origin}${path}`)).headers['x-content-type-options'], 'nosniff')
    })

    it('shows what pbm status shows, and the log as it is written', async () => {
      const { value } = await cluster.json(['status', '-p'])
      const status = value as { cluster: ClusterSection[]; backups: { path: string } }
      assert.deepEqual(await visit.event<ClusterSection[]>('cluster'), status.cluster)
      const history = await visit.event<History>('history')
      assert.deepEqual(history.backups, status.backups)
      const own = async () => (await visit.event<LogLine[]>('log')).map(({ msg }) => msg)
      assert.ok((await own()).some((text) => text.startsWith('started beside')))
    })

    it('backs up as the command line does, says how, and shows that it runs', async () => {
      // It would end between two looks otherwise.
      await cluster.pbm(['config', '--set', 'backup.throttle.upload=2000'])
      const lines = visit.event<RunningSection>('running', ({ type }) => type === 'backup')
      const { value } = await visit.post('/api/act', { do: 'backup', type: 'logical' })
      const { line, result, error } = value as Outcome<{ name: string; status: string }>
      assert.deepEqual([line, error, result?.status], ['pbm backup', undefined, 'running'])
      backup = result?.name ?? ''
      await lines
      const isDone = ({ backups }: History) =>
        'snapshot' in backups && backups.snapshot.some(({ name, status }) => name === backup && status === 'done')
      await visit.event<History>('history', isDone)
      await cluster.pbm(['config', '--set', 'backup.throttle.upload=1000000000'])
      const described = await visit.get(`/api/collections?name=${encodeURIComponent(backup)}`)
      const { line: told, result: facts } = described.value as Outcome<{ replsets: { collections: string[] }[] }>
      assert.equal(told, `pbm describe-backup --with-collections ${backup}`)
      assert.ok(facts?.replsets[0]?.collections.includes('shop.orders'))
    })

    it('restores what was agreed to, under the name of the cluster', async () => {
      await admin.db('shop').collection('orders').drop()
      const restore = { do: 'restore', backup, ns: 'shop.orders' }
      const asked = (await visit.post('/api/question', restore)).value as Outcome<Question>
      assert.match(asked.result?.question ?? '', /^shop\.orders will be replaced, by backup/)
      assert.equal(asked.result?.canBePlanned, true)
      const plan = (await visit.post('/api/plan', restore)).value as Outcome<{ namespaces: { ns: string }[] }>
      assert.deepEqual(
        plan.result?.namespaces.map(({ ns }) => ns),
        ['shop.orders'],
        JSON.stringify(plan),
      )
      const question = asked.result?.question
      const wrong = await visit.post('/api/restore', { restore, question, cluster: 'another' })
      assert.equal((wrong.value as { code: string }).code, 'WEB_CONFIRM')
      const other = { restore: { ...restore, keepExisting: true }, question, cluster: cluster.set.name }
      const changed = (await visit.post('/api/restore', other)).value as Outcome
      assert.equal(changed.error?.code, 'WEB_CHANGED')
      const done = (await visit.post('/api/restore', { restore, question, cluster: cluster.set.name })).value as Outcome
      assert.equal(done.error, undefined)
      assert.equal(done.line, `pbm restore --ns=shop.orders ${backup}`)
      await until('the restore', async () => (await admin.db('shop').collection('orders').countDocuments()) === 2)
      await visit.event<RunningSection>('running', ({ type }) => type === undefined)
    })

    it('reads again only what is new of backups and chunks', async () => {
      const leader = await new MongoClient(cluster.uri, { monitorCommands: true }).connect()
      const read: string[] = []
      leader.on('commandStarted', ({ commandName, command }) => {
        if (commandName === 'find') read.push(String(command.find))
      })
      const chunks = admin.db('admin').collection('pbmPITRChunks')
      try {
        const reader = new PastReader(leader, systemClock)
        const first = await reader.look()
        const backups = await first.backups()
        assert.ok(backups.some(({ name }) => name === backup))
        read.length = 0
        const second = await reader.look()
        assert.deepEqual([second.sign, await second.backups(), read], [first.sign, backups, ['pbmPITRChunks']])
        const bounds = { start_ts: new Timestamp({ t: 5, i: 1 }), end_ts: new Timestamp({ t: 6, i: 1 }) }
        await chunks.insertOne({ rs: 'rs7', fname: 'x', size: 7, ...bounds })
        const third = await reader.look()
        assert.notEqual(third.sign, first.sign)
        assert.deepEqual(await third.oplog(), { bounds: [{ rs: 'rs7', ...bounds }], bytes: 7, unsealed: 1 })
        await admin
          .db('admin')
          .collection('pbmBackups')
          .updateOne({ name: backup }, { $inc: { last_transition_ts: 1 } })
        const fourth = await reader.look()
        assert.notEqual(fourth.sign, third.sign)
        assert.notEqual(await fourth.backups(), backups)
      } finally {
        await chunks.deleteMany({ rs: 'rs7' })
        await leader.close()
      }
    })

    it('takes nothing for an option, and refuses what it does not know', async () => {
      const odd = (await visit.post('/api/question', { do: 'restore', backup: '--plugin-dir=/tmp' })).value as Outcome
      assert.equal(odd.error?.code, 'BACKUP_NOT_FOUND')
      for (const body of [{ do: 'config' }, { do: 'backup', type: 'logical', yes: true }, { do: 'backup' }])
        assert.equal((await visit.post('/api/act', body)).status, 400)
      const future = (await visit.post('/api/question', { do: 'restore', time: '2100-01-01T00:00:00' }))
        .value as Outcome
      assert.equal(future.error?.code, 'TIME_IN_FUTURE')
      const bad = await visit.get('/api/log?severity=X')
      assert.equal(bad.status, 400)
    })

    it('does nothing where it only shows, and masks secrets', async () => {
      const shown = await startWeb(cluster.uri, ['--read-only'])
      const looking = await Visit.byToken(shown)
      try {
        for (const path of ['/api/act', '/api/question', '/api/plan', '/api/restore']) {
          const { status, value } = await looking.post(path, { do: 'cancel' })
          assert.deepEqual([status, (value as { code: string }).code], [403, 'WEB_READ_ONLY'], path)
        }
        const credentials = { 'access-key-id': 'k', 'secret-access-key': SECRET }
        const s3 = { endpointUrl: 'http://127.0.0.1:1', bucket: 'b', region: 'r', credentials }
        const config = admin.db('admin').collection('pbmConfig')
        await config.updateOne(
          { profile: { $ne: true } },
          { $set: { storage: { type: 's3', s3 }, epoch: new Timestamp({ t: 1, i: 1 }) } },
        )
        const { text, value } = await looking.get('/api/config')
        assert.equal((value as Outcome).line, 'pbm config --list')
        assert.match((value as Outcome<string>).result ?? '', /secret-access-key: "?\*\*\*/)
        const history = await looking.event<History>(
          'history',
          ({ backups }) => 'type' in backups && backups.type === 'S3',
        )
        assert.ok(!`${text}${JSON.stringify(history)}`.includes(SECRET))
      } finally {
        assert.equal(await shown.stop(), 0)
      }
    })
  })

  describe('for teams', () => {
    let team: Web
    let ca: Buffer
    const login = async (user: string, password: string) => {
      const options = { method: 'POST', body: { user, password }, headers: { origin: team.origin }, ca }
      return ask(`${team.origin}/api/login`, options)
    }

    before(async () => {
      const files = await createTlsFiles(cluster.folder)
      ca = await readFile(files.ca)
      const tls = ['--tls-cert-file', files.server, '--tls-key-file', files.server]
      // Nothing is read as this user.
      const uri = cluster.set.uri({ user: false })
      team = await startWeb(uri, ['--listen', '127.0.0.1', '--port', '0', ...tls])
    })
    after(() => team?.stop())

    it('lets in users of the database, and their roles decide', async () => {
      assert.equal((await ask(`${team.origin}/api/visit`, { ca })).status, 401)
      const { status, text } = await login('nobody', 'nothing')
      assert.deepEqual(
        [status, JSON.parse(text)],
        [401, { Error: 'the user or the password is wrong', code: 'WEB_LOGIN' }],
      )
      const viewer = await cluster.set.createUser(databaseRole('viewer'), 'looker')
      const entered = await login(viewer, PBM_USER.password)
      assert.equal(entered.status, 200, entered.text)
      assert.match(String(entered.headers['set-cookie']), /HttpOnly; SameSite=Strict; Secure/)
      const looker = new Visit(team.origin, cookieOf(entered), ca)
      assert.equal(((await looker.get('/api/visit')).value as Visited).user, 'looker')
      await looker.event<History>('history', ({ backups }) => 'snapshot' in backups)
      const { value } = await looker.post('/api/act', { do: 'cancel' })
      assert.equal((value as Outcome).error?.code, 'NOT_PERMITTED')
      const names = async () =>
        (
          await admin
            .db('admin')
            .aggregate([{ $currentOp: { allUsers: true, idleConnections: true } }])
            .toArray()
        ).filter(({ effectiveUsers }) => effectiveUsers?.some(({ user }: { user: string }) => user === 'looker')).length
      assert.ok((await names()) > 0)
      assert.equal((await looker.post('/api/logout', {})).status, 200)
      assert.equal((await looker.get('/api/visit')).status, 401)
      await until('the connection to be closed', async () => (await names()) === 0)
    })

    it('asks for names that the certificate is for', async () => {
      const foreign = { host: 'evil.example', origin: 'https://evil.example' }
      assert.equal((await ask(`${team.origin}/`, { headers: foreign, ca })).status, 403)
      const known = { host: 'localhost', origin: 'https://localhost' }
      assert.equal((await ask(`${team.origin}/`, { headers: known, ca })).status, 200)
    })

    it('lets nobody guess for long', async () => {
      const answers = new Set<number>()
      for (let tries = 0; tries < 12 && !answers.has(429); tries++) answers.add((await login('nobody', 'x')).status)
      assert.deepEqual([...answers], [401, 429])
    })

    it('logs out who is away', async () => {
      let millis = 0
      const clock = { now: () => millis, sleep: () => Promise.resolve() }
      const user = await cluster.set.createUser({ ...databaseRole('viewer'), name: 'viewers' }, 'away')
      const io = {
        stdin: process.stdin,
        stdout: process.stdout,
        stderr: process.stderr,
        env: {},
        signal: new AbortController().signal,
      }
      const visitors = new UserVisitors(new Session(io, { mongodbUri: cluster.set.uri() }), clock)
      const cookie = await visitors.enter(user, PBM_USER.password, 'here')
      const visitor = visitors.find(cookie, true)
      millis += 29 * 60_000
      assert.ok(visitors.find(cookie, false))
      millis += 60_000
      assert.equal(visitors.find(cookie, true), undefined)
      await visitors.endIdle()
      assert.ok(visitor?.ended.aborted)
    })
  })
})
