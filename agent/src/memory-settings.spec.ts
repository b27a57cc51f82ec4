import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { missingMemorySettings } from './memory-settings.js'

const BIN = fileURLToPath(new URL('./bin.js', import.meta.url))
const ALL = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' }

describe('The memory settings of an agent', () => {
  it('are added to what was given, once', () => {
    const missing = missingMemorySettings({ PATH: '/bin' }, ['--enable-source-maps'])
    assert.deepEqual(missing, {
      env: { PATH: '/bin', ...ALL },
      flags: ['--enable-source-maps', '--max-semi-space-size=8'],
    })
    assert.equal(missingMemorySettings(missing.env, missing.flags), undefined)
  })

  it('stay as somebody set them', () => {
    const own = { MALLOC_ARENA_MAX: '8', NODE_OPTIONS: '--max_semi_space_size=32' }
    assert.deepEqual(missingMemorySettings(own, []), {
      env: { ...own, MALLOC_MMAP_THRESHOLD_: '131072' },
      flags: [],
    })
    assert.equal(missingMemorySettings({ ...own, MALLOC_MMAP_THRESHOLD_: '1' }, []), undefined)
  })

  it('are those of an agent that was started plainly, in the same process', () => {
    const { NODE_OPTIONS: _, MALLOC_ARENA_MAX: __, MALLOC_MMAP_THRESHOLD_: ___, ...env } = process.env
    const tell =
      'process.on("exit", () => console.log(process.ppid, process.env.MALLOC_ARENA_MAX, process.execArgv.at(-1)))'
    const args = ['--import', `data:text/javascript,${tell}`, BIN, '--version']
    const lines = execFileSync(process.execPath, args, { env, encoding: 'utf8' }).trim().split('\n')
    assert.deepEqual(lines.slice(1), [`${process.pid} 2 --max-semi-space-size=8`])
  })

  it('are gone without where the program is gone', () => {
    const { NODE_OPTIONS: _, MALLOC_ARENA_MAX: __, MALLOC_MMAP_THRESHOLD_: ___, ...env } = process.env
    const gone = 'data:text/javascript,process.execPath = "/gone/node"'
    const output = execFileSync(process.execPath, ['--import', gone, BIN, '--version'], { env, encoding: 'utf8' })
    assert.notEqual(output.trim(), '')
  })
})
