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
})
