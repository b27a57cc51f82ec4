import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { appendLog, insertBackup, insertRestore, recordOperation } from '@pbmkit/core'
import { strFromU8, unzipSync } from 'fflate'
import { ObjectId, Timestamp } from 'mongodb'
import { type Cluster, startCluster } from './cluster.support.js'
import { backupRecord, restoreRecord } from './records.support.js'

const NAME = '2031-02-03T04:05:06Z'
const RESTORE = '2031-02-05T01:02:03.004Z'

describe('pbm diagnostic', () => {
  let cluster: Cluster
  let path: string
  const [opid, restoreOpid] = [new ObjectId(), new ObjectId()].map((id) => id.toHexString()) as [string, string]
  before(async () => {
    cluster = await startCluster()
    path = join(cluster.folder, 'report')
  })
  after(() => cluster.stop())

  /** The report's files, and those in the archive as `zip/…`. */
  const filesThere = async () => {
    const files = new Map<string, string>()
    for (const file of await readdir(path)) {
      const content = await readFile(join(path, file))
      if (!file.endsWith('.zip')) files.set(file, content.toString())
      else for (const [name, bytes] of Object.entries(unzipSync(content))) files.set(`zip/${name}`, strFromU8(bytes))
    }
    return files
  }

  it('writes all around an operation, and no secret', async () => {
    const known = {
      ...{ key: 'AKIAEXAMPLEKEY00', secret: 's3cr3t/of+"s3', proxy: 'pr0xy-w0rd', stranger: 'b3arer-of-a-stranger' },
      ...{ header: 'h3ader-t0ken', line: 'MIIEexampleLineOfAKey0123', own: new URL(cluster.uri).password },
    }
    const inUrls = { foreign: 'p4ss%40w0rd', hook: 'h00k-t0ken' }
    const admin = cluster.leader.db('admin')
    const credentials = { 'access-key-id': known.key, 'secret-access-key': known.secret }
    const s3 = { bucket: 'b', endpointUrl: `https://u:${known.proxy}@s3.example`, credentials }
    const webhook = { url: `https://hooks.example/T0/${inUrls.hook}`, headers: { authorization: known.header } }
    const pem = `-----BEGIN KEY-----\n${known.line}\n-----END KEY-----`
    await admin.collection('pbmConfig').insertMany([
      { storage: { type: 's3', s3 }, epoch: new Timestamp({ t: 1, i: 1 }), notifications: [{ webhook }] },
      { profile: true, name: 'odd', storage: { type: 'unheard', unheard: { bearer: known.stranger, pem } } },
    ])
    const record = await backupRecord(cluster, NAME, opid, 'running')
    const store = { ...record.store, type: 's3', s3 }
    await insertBackup(cluster.leader, { ...record, store, error: `denied for ${known.key}` })
    await insertRestore(cluster.leader, await restoreRecord(cluster, RESTORE, restoreOpid, NAME))
    const where = { rs: cluster.set.name, node: cluster.host }
    await recordOperation(cluster.leader, {
      type: 'backup',
      replset: where.rs,
      node: where.node,
      opid,
      epoch: record.hb,
    })
    const messages = [
      ...Object.values(known).map((secret) => `said ${secret}, and ${JSON.stringify(secret)}`),
      `cannot reach mongodb://somebody:${inUrls.foreign}@h/?authSource=admin`,
    ]
    const entry = { ...where, ns: 0, tz: 0, s: 4 as const, e: 'backup', eobj: NAME, opid }
    await appendLog(
      cluster.leader,
      messages.map((msg, n) => ({ ...entry, ts: 1_700_000_000 + n, msg })),
    )

    for (const args of [['--name', NAME, '--archive'], ['--opid', restoreOpid], []]) {
      const ended = await cluster.pbm(['diagnostic', '--path', path, ...args])
      assert.equal(ended.code, 0, ended.stderr)
    }
    const files = await filesThere()
    const names = [...files.keys()]
    const own = ['backup.json', 'log', 'report.json'].map((file) => `${NAME}.${file}`)
    assert.deepEqual(names.filter((file) => file.includes(NAME)).sort(), [...own, ...own.map((file) => `zip/${file}`)])
    assert.ok(names.includes(`${restoreOpid}.restore.json`) && names.some((file) => /^pbmkit-.*\.log$/.test(file)))
    for (const [file, text] of files) {
      for (const [what, secret] of Object.entries({ ...known, ...inUrls }))
        assert.ok(
          !text.includes(secret) && !text.includes(JSON.stringify(secret).slice(1, -1)),
          `${what} is in ${file}`,
        )
    }
    assert.match(files.get(`${NAME}.log`) ?? '', /cannot reach mongodb:\/\/\*\*\*@h/)
    assert.match(files.get(`${NAME}.backup.json`) ?? '', /"start_ts": \{\s+"\$numberLong"/)
    const report = JSON.parse(files.get(`${NAME}.report.json`) ?? '') as {
      opid: string
      status: { cluster: object[] }
      documents: { begun: object[]; config: { storage: object }[] }
    }
    assert.deepEqual([report.opid, report.status.cluster.length, report.documents.begun.length], [opid, 1, 1])
    const shown = { bucket: 'b', endpointUrl: 'https://***@s3.example' }
    assert.deepEqual(report.documents.config[0]?.storage, {
      type: 's3',
      s3: { ...shown, credentials: { 'access-key-id': '***', 'secret-access-key': '***' } },
    })
    assert.equal((await stat(join(path, `${NAME}.log`))).mode & 0o777, 0o600)
  })

  it('says where nothing is known, and where nothing can be written', async () => {
    const unknown = await cluster.json(['diagnostic', '--path', path, '--opid', '0'.repeat(24)])
    assert.deepEqual([unknown.code, (unknown.value as { code: string }).code], [1, 'OPERATION_UNKNOWN'])
    const unwritten = await cluster.json(['diagnostic', '--path', join(path, `${NAME}.log`, 'x'), '--name', NAME])
    assert.deepEqual([unwritten.code, (unwritten.value as { code: string }).code], [1, 'REPORT_UNWRITTEN'])
  })
})
