import assert from 'node:assert/strict'
import { compareStates, type DatabaseState, loadSampleData, snapshotState } from '@pbmkit/conformance/testbed'
import { databaseRole } from '@pbmkit/core'
import { type Cluster, startCluster } from './cluster.support.js'

/** What the agents' user has, for one that is known by a certificate instead of a password. */
/** The subject of the testbed's client certificate, as the server writes it. */
const SUBJECT = 'O=pbmkit,OU=client,CN=client'

describe('A replica set that demands TLS and authentication', () => {
  let cluster: Cluster
  let loaded: DatabaseState

  before(async () => {
    cluster = await startCluster({ tls: true })
    const admin = await cluster.set.client()
    await loadSampleData(admin, { seed: 5, scale: 0.05 })
    loaded = await snapshotState(admin)
  })
  after(() => cluster.stop())

  async function backsUpAndRestores(env: NodeJS.ProcessEnv): Promise<void> {
    const input = `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/backups}\n`
    const configured = await cluster.pbm(['config', '--file', '-', '--wait'], { input, env })
    assert.equal(configured.code, 0, configured.stderr)
    const made = await cluster.json(['backup', '--wait'], { env })
    assert.equal(made.code, 0, made.stdout + made.stderr)
    const admin = await cluster.set.client()
    for (const db of Object.keys(loaded.dbs)) await admin.db(db).dropDatabase()
    const { name } = made.value as { name: string }
    const restored = await cluster.json(['restore', name, '-y', '--wait'], { env })
    assert.equal(restored.code, 0, restored.stdout + restored.stderr)
    const { users: _users, ...after } = await snapshotState(admin)
    assert.deepEqual(compareStates({ ...loaded, users: [] }, { ...after, users: [] }), [])
  }

  it('is backed up and restored, by password', async () => {
    const agent = await cluster.startAgent()
    await backsUpAndRestores({})
    await agent.stop()
  })

  it('is backed up and restored, by certificate', async () => {
    const admin = await cluster.set.client()
    const roles = [{ db: 'admin', role: databaseRole('agent').name }]
    await admin.db('$external').command({ createUser: SUBJECT, roles })
    const { ca, client } = cluster.set.tls ?? { ca: '', client: '' }
    const query = new URLSearchParams({
      ...{ tls: 'true', tlsCAFile: ca, tlsCertificateKeyFile: client },
      ...{ authMechanism: 'MONGODB-X509', authSource: '$external' },
    })
    const uri = `mongodb://${cluster.host}/?${query}`
    const agent = await cluster.startAgent(uri)
    await backsUpAndRestores({ PBM_MONGODB_URI: uri })
    await agent.stop()
  })

  it('is told from one without TLS, and what to do', async () => {
    const uri = (options: string) => `mongodb://${cluster.host}/?serverSelectionTimeoutMS=1000${options}`
    const cases: [string, RegExp][] = [
      ['', /demands TLS[\s\S]*Add tls=true/],
      ['&tls=true', /CA that this machine does not know[\s\S]*Add tlsCAFile=/],
      ['&tls=true&tlsCAFile=/nowhere/ca.pem', /\/nowhere\/ca\.pem/],
      [`&tls=true&tlsCAFile=${cluster.set.tls?.ca}`, /lacks privileges/],
    ]
    for (const [options, message] of cases) {
      const ended = await cluster.pbm(['status', '--mongodb-uri', uri(options)])
      assert.equal(ended.code, 1)
      assert.match(ended.stderr, message)
    }
  })
})
