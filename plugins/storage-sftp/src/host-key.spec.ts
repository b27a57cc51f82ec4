import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { fingerprintOf, knownKeys, typeOf } from './host-key.js'

// Of RFC 8709: the type and 32 bytes, each with its length before it.
const KEY = Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from('ssh-ed25519'),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
])
const TEXT = KEY.toString('base64')

function hashed(name: string): string {
  const salt = Buffer.alloc(20, 1)
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`
}

describe('keys of servers', () => {
  it('have a kind, and a fingerprint as OpenSSH prints it', () => {
    assert.equal(typeOf(KEY), 'ssh-ed25519')
    assert.match(fingerprintOf(KEY), /^SHA256:[A-Za-z0-9+/]{43}$/)
    assert.equal(typeOf(Buffer.alloc(2)), '')
  })

  for (const [line, host, port, found] of [
    ['backup.example.com', 'backup.example.com', 22, true],
    ['backup.example.com', 'BACKUP.example.com', 22, true],
    ['backup.example.com', 'backup.example.com', 2222, false],
    ['[backup.example.com]:2222', 'backup.example.com', 2222, true],
    ['[backup.example.com]:2222', 'backup.example.com', 22, false],
    ['one,two,10.0.0.1', '10.0.0.1', 22, true],
    ['*.example.com', 'a.example.com', 22, true],
    ['*.example.com', 'example.com', 22, false],
    ['h?st', 'host', 22, true],
    ['*.example.com,!bad.example.com', 'bad.example.com', 22, false],
    ['a.b', 'axb', 22, false],
    [hashed('backup.example.com'), 'backup.example.com', 22, true],
    [hashed('backup.example.com'), 'other.example.com', 22, false],
    [hashed('[backup.example.com]:2222'), 'backup.example.com', 2222, true],
    ['|2|x|y', 'backup.example.com', 22, false],
    ['#backup.example.com', '#backup.example.com', 22, false],
  ] as const) {
    it(`${found ? 'are' : 'are not'} those of ${host}:${port} in a line of ${line}`, () => {
      const keys = knownKeys(`# comment\n\n${line} ssh-ed25519 ${TEXT} somebody\nbroken\n`, host, port)
      assert.equal(keys.length, found ? 1 : 0)
      if (found) assert.deepEqual(keys[0], { type: 'ssh-ed25519', key: KEY, revoked: false })
    })
  }

  it('may be revoked, and those of authorities are left out', () => {
    const file = `@revoked * ssh-ed25519 ${TEXT}\n@cert-authority * ssh-ed25519 ${TEXT}\r\n`
    assert.deepEqual(
      knownKeys(file, 'host', 22).map(({ revoked }) => revoked),
      [true],
    )
  })
})
