import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fixturesFolder } from '@pbmkit/conformance/testbed'
import type { Config } from '../../config/document.js'
import { Ciphers } from '../../encryption/ciphers.js'
import type { OperationLog } from '../../log.js'
import type { PluginHost } from '../../plugin-host/host.js'
import { openStore } from '../../store/open.js'
import type { OpenStore } from '../../store/open-store.js'
import { makeOwnBackup } from './own-backup.support.js'
import type { CraftedTarget } from './target.support.js'

/** A storage with a good backup, to be changed. */
export interface Base {
  readonly title: string
  readonly type: 'logical' | 'physical'
  readonly folder: string
  readonly backup: string
  /** Of a restore to a time. */
  readonly time?: number
  readonly ciphers?: Ciphers
}

export interface BasesContext {
  readonly target: CraftedTarget
  readonly host: PluginHost
  readonly log: OperationLog
  readonly scratch: string
  /** As somebody has asked: the storage of all that follows. */
  configure(folder: string): Promise<void>
  /** Of the whole, for what backups of our own are to have. */
  restore(base: Base): Promise<void>
}

interface Manifest {
  readonly snapshots: readonly { readonly name: string; readonly compression: string }[]
  readonly marks: readonly { readonly label: string; readonly unix: number }[]
}

const CONTEXT = { signal: new AbortController().signal, warn: () => undefined }

export async function basesFor(context: BasesContext): Promise<Base[]> {
  const fixtures = context.target.isSharded ? await ofFixture('pbm-sharded') : await fixturesOfSets()
  const [first] = fixtures
  if (first === undefined) throw new Error('there are no fixtures')
  await context.restore(first)
  return [...fixtures, ...(await ownBases(context))]
}

async function fixturesOfSets(): Promise<Base[]> {
  const codecs = (await ofFixture('pbm-codecs')).filter(({ title }) => /none|zstd/.test(title))
  const [, toTime] = (await ofFixture('pbm-pitr')).filter(({ time }, index) => index === 0 || time !== undefined)
  return [...codecs, ...(toTime === undefined ? [] : [toTime])]
}

async function ofFixture(name: string): Promise<Base[]> {
  const folder = join(fixturesFolder() ?? '', name)
  const { snapshots, marks } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as Manifest
  const storage = join(folder, 'storage')
  const type = 'logical'
  const base = snapshots[0]?.name ?? ''
  return [
    ...snapshots.map(
      (one) => ({ title: `PBM's, ${one.compression}`, type, folder: storage, backup: one.name }) as const,
    ),
    ...(marks ?? [])
      .filter(({ label }) => ['ddl', 'transfers', 'moved'].includes(label))
      .map(
        ({ label, unix: time }) =>
          ({ title: `PBM's, to ${label}`, type, folder: storage, backup: base, time }) as const,
      ),
  ]
}

/** Of what the first fixture restores. */
async function ownBases({ target, host, log, scratch, configure }: BasesContext): Promise<Base[]> {
  const keyFile = join(scratch, 'keys')
  await writeFile(keyFile, randomBytes(32).toString('base64'), { mode: 0o600 })
  const ciphers = new Ciphers(host, { type: 'aes-gcm', 'aes-gcm': { keyFile } }, CONTEXT)
  const kinds = [
    { title: 'plain', compression: 'none', type: 'logical' },
    { title: 'zstd', compression: 'zstd', type: 'logical' },
    { title: 'sealed', compression: 'zstd', type: 'logical', ciphers },
    { title: 'files', compression: 'none', type: 'physical' },
    { title: 'sealed files', compression: 'zstd', type: 'physical', ciphers },
  ] as const
  const bases: Base[] = []
  for (const [index, kind] of kinds.entries()) {
    if (kind.type === 'physical' && target.isSharded) continue
    const { title, type, compression } = kind
    const folder = join(scratch, `own-${title.replace(' ', '-')}`)
    await mkdir(folder)
    await configure(folder)
    const store = await openAt(host, folder)
    const names = [0, 1].map((second) => `2031-01-0${index + 1}T00:00:0${second}Z`)
    const more = 'ciphers' in kind ? { ciphers: kind.ciphers } : {}
    for (const name of names.slice(0, type === 'physical' ? 1 : 2))
      await makeOwnBackup({ target, host, log, store, name, type, compression, ...more })
    await store.close()
    bases.push({ title, type, folder, backup: names[0] ?? '', ...more })
  }
  return bases
}

export function openAt(host: PluginHost, folder: string): Promise<OpenStore> {
  return openStore(host, storageOf(folder), CONTEXT, { retryMs: 0 })
}

export function storageOf(path: string): Config['storage'] {
  return { type: 'filesystem', filesystem: { path } }
}
