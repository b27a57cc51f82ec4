import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '@pbmkit/conformance/testbed'
import { Ciphers } from '../encryption/ciphers.js'
import { chunkMethod, sealedStore } from '../encryption/sealed-store.js'
import { PluginHost } from '../plugin-host/host.js'
import { bound } from '../store/open-store.js'
import { randomFlip, whileFlipped } from './bit-flips.support.js'
import type { VerifyScope } from './scope.js'
import { StoredBackups } from './stored-backups.support.js'
import { verifyStorage } from './verify.js'

const NAME = '2031-02-03T04:05:06Z'
/** `npm run bit-flips` has many more. */
const COUNT = Number(process.env.PBMKIT_BIT_FLIPS_COUNT ?? 400)
const SEED = Number(process.env.PBMKIT_BIT_FLIPS_SEED ?? 1)
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 's2', 'zstd'] as const
const KINDS = ['folder', 'archive', 'physical', 'chunks'] as const

/** Whatever bit of a stored object changes, verifying tells. No server. */
describe('a bit that is flipped on the storage', function () {
  this.timeout(60_000 + COUNT * 200)
  const context = { signal: new AbortController().signal, warn: () => undefined }
  const host = new PluginHost({ resolveFrom: import.meta.url, localAccess: { folders: [tmpdir()], commands: [] } })
  let folder: string
  let ciphers: Ciphers
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-flips-'))
    const keyFile = join(folder, 'keys')
    await writeFile(keyFile, randomBytes(32).toString('base64'), { mode: 0o600 })
    ciphers = new Ciphers(host, { type: 'aes-gcm', 'aes-gcm': { keyFile } }, context)
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const cases = KINDS.flatMap((kind, index) =>
    CODECS.map((compression, n) => ({ kind, compression, sealed: (index + n) % 3 === 0 && kind !== 'archive' })),
  )

  for (const [index, { kind, compression, sealed }] of cases.entries())
    it(`is found in ${kind}, ${compression}${sealed ? ', sealed' : ''}`, async () => {
      const random = seededRandom(SEED * 1000 + index)
      const made = new StoredBackups(host, index + 1)
      if (kind === 'chunks') await made.chunks(compression, 4, sealed ? ciphers : undefined)
      else await made.backup({ name: NAME, kind, compression, ...(sealed ? { ciphers } : {}) })
      const scope: VerifyScope = kind === 'chunks' ? { chunks: true } : { backup: NAME }
      const verify = () =>
        verifyStorage(scope, {
          ...{ host, ciphers: new Ciphers(host, ciphersConfig(folder), context), signal: context.signal },
          store: sealedStore(bound(made.store), ciphers, chunkMethod),
          ...{ readData: 100, sample: () => true, progress: { phase: () => undefined, add: () => undefined } },
        })
      const whole = await verify()
      assert.deepEqual([whole.result, whole.backups[0]?.notes ?? []], ['good', []], JSON.stringify(whole))
      for (let n = 0; n < Math.ceil(COUNT / cases.length); n++) {
        // What only tells of a chunk is named by its checksums; what is in it is nothing to anybody.
        const objects = new Map([...made.store.objects].filter(([name]) => !name.includes('/pbmkit.sums/')))
        const flip = randomFlip(objects, random)
        const { result } = await whileFlipped(made.store, flip, verify)
        assert.notEqual(result, 'good', `bit ${flip.bit} of byte ${flip.byte} of ${flip.object} was not found`)
      }
    })
})

function ciphersConfig(folder: string) {
  return { type: 'aes-gcm', 'aes-gcm': { keyFile: join(folder, 'keys') } }
}
