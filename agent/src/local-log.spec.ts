import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLocalLog } from './local-log.js'

describe('the local log', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-log-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('writes lines like PBM and changes level and form while running', async () => {
    const path = join(folder, 'made', 'agent.log')
    const log = openLocalLog({ path, level: 'I', json: false })
    const self = log.logger.child({ rs: 'rs0', node: 'host:1' })
    self.debug('hidden')
    self.info({ event: 'backup', object: '2031-02-03T04:05:06Z' }, 'hello')
    log.change({ level: 'D', json: true })
    self.debug({ event: 'pitr' }, 'now')
    assert.ok(await log.flush())
    const [text, json, end] = (await readFile(path, 'utf8')).split('\n')
    assert.match(
      text ?? '',
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ I \[rs0\/host:1\] \[backup\/2031-02-03T04:05:06Z\] hello$/,
    )
    const { ts, ...rest } = JSON.parse(json ?? '') as Record<string, unknown>
    assert.ok(Date.parse(String(ts)) > 0)
    assert.deepEqual(rest, { s: 'D', rs: 'rs0', node: 'host:1', e: 'pitr', msg: 'now' })
    assert.equal(end, '')
    for (const [place, mode] of [
      [path, 0o600],
      [join(folder, 'made'), 0o700],
    ] as const)
      assert.equal((await stat(place)).mode & 0o777, mode, place)
  })

  it('has nothing for the terminal in it', async () => {
    const path = join(folder, 'hostile.log')
    const log = openLocalLog({ path, level: 'I', json: false })
    const name = 'b\u001b[2J\n2031-02-03T04:05:06Z I all is well\u009b'
    log.logger.info({ event: 'backup', object: name }, `skipped ${name}`)
    log.change({ level: 'I', json: true })
    log.logger.info({ event: 'backup', object: name }, `skipped ${name}`)
    log.flush()
    const written = await readFile(path, 'utf8')
    assert.doesNotMatch(written, /[^\P{Cc}\n]/u)
    const [first, second, json] = written.split('\n')
    assert.match(first ?? '', /skipped b\\x1b\[2J$/)
    assert.match(second ?? '', /^ {2}2031/)
    assert.equal((JSON.parse(json ?? '') as { eobj: string }).eobj, name)
  })
})
