import assert from 'node:assert/strict'
import fc from 'fast-check'
import { errorText, PbmError } from '../errors.js'
import { maskText, maskUri, parseUri } from './uri.js'

const codeOf = (uri: string): string | undefined => {
  try {
    parseUri(uri)
    return undefined
  } catch (error) {
    assert(error instanceof PbmError)
    assert.notEqual(error.hint, undefined)
    return error.code
  }
}

describe('MongoDB URI', () => {
  it('may leave out the scheme', () => {
    assert.deepEqual(parseUri('u:p@h1:1,h2:2/?replicaSet=rs').hosts, ['h1:1', 'h2:2'])
    assert.deepEqual(parseUri(' mongodb://h1:1 ').hosts, ['h1:1'])
  })

  for (const [uri, code] of [
    ['', 'URI_INVALID'],
    ['mongodb://', 'URI_INVALID'],
    ['http://h:1', 'URI_INVALID'],
    ['mongodb://u:p%ZZ@h:1', 'URI_INVALID'],
    ['mongodb://u:p@ss@h:1', 'URI_INVALID'],
    ['mongodb+srv://h.example.org', 'URI_SRV'],
    ['mongodb://h:1/?w=0', 'URI_CONCERN'],
    ['mongodb://h:1/?readConcernLevel=linearizable', 'URI_CONCERN'],
    ['mongodb://h:1/?W=1', 'URI_CONCERN'],
    ['mongodb://h:1/?w=1&readConcernLevel=local', undefined],
    ['mongodb://h:1/?w=majority', undefined],
    ['mongodb://h:1/?w=2', undefined],
    ['mongodb://h:1/?loadBalanced=true', 'URI_OPTION'],
    ['mongodb://[::1]:27017', undefined],
    ['mongodb://h:1/?tls=true&authMechanism=MONGODB-X509&tlsCertificateKeyFile=/x.pem', undefined],
  ] as const) {
    it(`${uri || 'nothing'}: ${code ?? 'taken'}`, () => assert.equal(codeOf(uri), code))
  }

  it('is masked without its credentials and other secrets', () => {
    assert.equal(maskUri('mongodb://u:p@h:1/?authSource=admin'), 'mongodb://***@h:1/?authSource=admin')
    assert.equal(maskUri('u:p@h:1'), 'mongodb://***@h:1')
    assert.equal(maskUri('mongodb://h:1'), 'mongodb://h:1')
    assert.equal(
      maskUri('mongodb://h/?tlsCertificateKeyFilePassword=x&authMechanismProperties=AWS_SESSION_TOKEN:y&a=b'),
      'mongodb://h/?tlsCertificateKeyFilePassword=***&authMechanismProperties=***&a=b',
    )
  })

  it('never shows a password, in valid URIs or broken ones, masks or errors', () => {
    const password = fc.string({ minLength: 8, maxLength: 20, unit: fc.constantFrom(...'QWXZ@:/?#%&=') })
    fc.assert(
      fc.property(password, fc.boolean(), fc.boolean(), (secret, encode, scheme) => {
        fc.pre(/[QWXZ]{3}/.test(secret))
        const part = secret.match(/[QWXZ]{3,}/)?.[0] ?? ''
        const uri = `${scheme ? 'mongodb://' : ''}user:${encode ? encodeURIComponent(secret) : secret}@host:1/db`
        assert(!maskUri(uri).includes(part))
        if (scheme) assert(!maskText(`cannot use ${uri} now`).includes(part))
        try {
          parseUri(uri)
        } catch (error) {
          assert(!errorText(error).includes(part))
        }
      }),
    )
  })

  it('is masked inside texts, and so are its secrets alone', () => {
    const uri = 'mongodb://u:p%40ssword@h:1'
    assert.equal(maskText(`a ${uri} b mongodb://h:2 c`), 'a mongodb://***@h:1 b mongodb://h:2 c')
    assert.equal(
      maskText('at https://u:s3cr3t@h:1/x, sftp://u@h:2/a:b@c and http://h:3/'),
      'at https://***@h:1/x, sftp://u@h:2/a:b@c and http://h:3/',
    )
    assert.equal(maskText('wrong p@ssword or p%40ssword', uri), 'wrong *** or ***')
  })
})
