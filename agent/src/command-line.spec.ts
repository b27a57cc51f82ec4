import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { VERSION } from '@pbmkit/core'

const BIN = fileURLToPath(new URL('./bin.js', import.meta.url))

describe('pbm-agent without a server', () => {
  for (const args of [['--version'], ['version', '--short']]) {
    it(`prints the version number for ${args.join(' ')}`, () => {
      const env = { PATH: process.env.PATH }
      assert.equal(execFileSync(process.execPath, [BIN, ...args], { env, encoding: 'utf8' }), `${VERSION}\n`)
    })
  }

  it('prints its version with the fields of PBM, and a completion that bash takes', () => {
    const run = (...args: string[]) => execFileSync(process.execPath, [BIN, ...args], { env: {}, encoding: 'utf8' })
    const fields = ['Version', 'Platform', 'GitCommit', 'GitBranch', 'BuildTime', 'GoVersion']
    const facts = JSON.parse(run('version', '--format', 'json')) as Record<string, unknown>
    for (const field of fields) assert.equal(typeof facts[field], 'string', field)
    assert.equal(run('version', '--commit'), `${facts.GitCommit}\n`)
    const script = `${run('completion', 'bash')}complete -p pbm-agent`
    assert.match(execFileSync('bash', ['-c', script], { encoding: 'utf8' }), /--log-json[^\n]* version/)
  })
})
