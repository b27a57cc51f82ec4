import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkLocalAccess, DEFAULT_LOCAL_ACCESS } from './local-access.js'
import type { SchemaNode } from './schema.js'

const SCHEMA: SchemaNode = {
  type: 'object',
  properties: {
    keyFile: { type: 'string', localFile: true },
    keyCommand: { type: 'array', items: { type: 'string' }, localCommand: true },
    files: { type: 'array', items: { type: 'string', localFile: true } },
    byNode: { type: 'object', additionalProperties: { type: 'object', properties: { ca: { localFile: true } } } },
    path: { type: 'string' },
  },
}

describe('What options may make this process read and run', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-access-'))
    await mkdir(join(folder, 'allowed'))
    await writeFile(join(folder, 'allowed', 'key'), 'k')
    await writeFile(join(folder, 'secret'), 's')
    await symlink(join(folder, 'secret'), join(folder, 'allowed', 'link'))
    await symlink(join(folder, 'allowed'), join(folder, 'way'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const check = (options: object) =>
    checkLocalAccess(options, SCHEMA, 'encryption.x', {
      folders: [join(folder, 'way')],
      commands: ['/usr/bin/vault'],
    })

  it('takes files below an allowed folder, and what is no file of this machine', async () => {
    await check({ keyFile: join(folder, 'allowed', 'key'), path: '/etc/shadow' })
    await check({ keyFile: join(folder, 'way', 'key'), files: [join(folder, 'allowed', 'key')] })
  })

  it('refuses files outside, by whatever way they are named', async () => {
    for (const file of [
      '/etc/shadow',
      join(folder, 'secret'),
      `${folder}/allowed/../secret`,
      join(folder, 'allowed', 'link'),
      join(folder, 'allowed'),
      `${join(folder, 'allowed')}-other/key`,
      'secret',
    ]) {
      for (const options of [{ keyFile: file }, { files: [file] }, { byNode: { 'h:1': { ca: file } } }]) {
        await assert.rejects(check(options), { code: 'CONFIG_LOCAL_FILE' }, JSON.stringify(options))
      }
    }
    await assert.rejects(check({ byNode: { 'h:1': { ca: '/etc/shadow' } } }), /encryption\.x\.byNode\.h:1\.ca leads to/)
  })

  it('runs allowed programs only, by the very path', async () => {
    await check({ keyCommand: ['/usr/bin/vault', 'read'] })
    for (const keyCommand of [['vault'], ['/bin/sh', '-c', 'id'], ['/usr/bin/../bin/vault'], [], [{}], ['']]) {
      await assert.rejects(check({ keyCommand }), { code: 'CONFIG_LOCAL_COMMAND' })
    }
  })

  it('allows no program by default', async () => {
    const none = checkLocalAccess({ keyCommand: ['/bin/true'] }, SCHEMA, 'e', DEFAULT_LOCAL_ACCESS)
    await assert.rejects(none, { code: 'CONFIG_LOCAL_COMMAND' })
  })
})
