import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PluginHost } from '@pbmkit/core'
import { KeyWatch } from './key-watch.js'

describe('KeyWatch', () => {
  let folder: string
  let stopping: AbortController
  const older = randomBytes(32).toString('hex')
  const newer = randomBytes(32).toString('hex')

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-key-watch-'))
    stopping = new AbortController()
    await writeFile(join(folder, 'keys'), older, { mode: 0o600 })
  })
  afterEach(async () => {
    stopping.abort()
    await rm(folder, { recursive: true, force: true })
  })

  const watch = (patienceMs = 10_000) =>
    new KeyWatch({
      host: new PluginHost({
        resolveFrom: import.meta.url,
        localAccess: { folders: [tmpdir()], commands: [process.execPath] },
      }),
      node: 'n',
      signal: stopping.signal,
      patienceMs,
    })
  /** Prints the keys, and a dot into the file `ran`; with `millis`, after that time. */
  const byCommand = (millis = 0) => {
    const code = `const fs = require('fs'); fs.appendFileSync('ran', '.')
      setTimeout(() => process.stdout.write(fs.readFileSync('keys')), ${millis})`
    const keyCommand = [process.execPath, '-e', `process.chdir(${JSON.stringify(folder)}); ${code}`]
    return { type: 'aes-gcm', 'aes-gcm': { keyCommand } }
  }
  const runs = async () => (await readFile(join(folder, 'ran'), 'utf8')).length

  it('runs a command once for a configuration, and anew when a rotation asks', async () => {
    const keys = watch()
    await keys.require(byCommand())
    await keys.require(byCommand())
    assert.equal(await runs(), 1)
    const [before] = keys.keys?.ids ?? []
    assert.match(before ?? '', /^[0-9a-f]{16}$/)
    assert.equal(keys.keys?.opid, undefined)
    await writeFile(join(folder, 'keys'), `${newer}\n${older}`, { mode: 0o600 })
    await keys.answer(byCommand(), 'this')
    assert.equal(await runs(), 2)
    assert.equal(keys.keys?.opid, 'this')
    assert.notEqual(keys.keys?.ids[0], before)
  })

  it('answers with what is wrong, and does not reject', async () => {
    const keys = watch()
    const config = { type: 'aes-gcm', 'aes-gcm': { keyFile: join(folder, 'nowhere') } }
    await assert.rejects(keys.require(config), /there is no such file/)
    await keys.answer(config, 'this')
    assert.deepEqual([keys.keys?.ids, keys.keys?.opid], [[], 'this'])
    assert.match(keys.keys?.e ?? '', /there is no such file/)
  })

  it('looks at once with a configuration that mends a command that hangs', async () => {
    const keys = watch(2000)
    const hanging = {
      type: 'aes-gcm',
      'aes-gcm': { keyCommand: [process.execPath, '-e', 'setTimeout(() => {}, 60_000)'] },
    }
    await assert.rejects(keys.require(hanging), /could not be had within 2 s/)
    await keys.require({ type: 'aes-gcm', 'aes-gcm': { keyFile: join(folder, 'keys') } })
    assert.equal(keys.keys?.e, '')
    assert.equal(keys.keys?.ids.length, 1)
  })

  it('has no keys any more once the section is taken out of the configuration', async () => {
    const keys = watch()
    await keys.require({ type: 'aes-gcm', 'aes-gcm': { keyFile: join(folder, 'keys') } })
    await keys.require(undefined)
    assert.equal(keys.keys, undefined)
  })

  it('has no keys where nothing is sealed', async () => {
    const keys = watch()
    await keys.require(undefined)
    await keys.answer({ type: 'none' }, 'this')
    assert.equal(keys.keys, undefined)
  })

  it('does not wait long for a command that is slow, nor runs it a second time meanwhile', async () => {
    const keys = watch(300)
    const slow = byCommand(1500)
    await assert.rejects(keys.require(slow), /could not be had within 0.3 s/)
    await assert.rejects(keys.require(slow), /could not be had within 0.3 s/)
    while (keys.keys === undefined) await keys.require(slow).catch(() => undefined)
    await keys.require(slow)
    assert.equal(await runs(), 1)
    assert.equal(keys.keys.ids.length, 1)
  })
})
