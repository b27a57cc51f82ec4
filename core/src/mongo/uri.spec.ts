import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PbmError } from '../errors.js'
import { ignoredUriOptionsText, maskText, parseUri, uriForUser } from './uri.js'

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
    ['mongodb://u:12/3@h:1', 'URI_INVALID'],
    ['mongodb://u:p@12/3@h:1/?authSource=admin', 'URI_INVALID'],
    ['mongodb://u:p@12?3@h:1', 'URI_INVALID'],
    ['mongodb://u:p@12#3@h:1', 'URI_INVALID'],
    ['mongodb://u:p@h:1/?appName=a@b', undefined],
    ['mongodb://u:@12/?34=5@h:1', 'URI_INVALID'],
    ['mongodb+srv://h.example.org', 'URI_SRV'],
    ['mongodb://h:1/?w=0', 'URI_CONCERN'],
    ['mongodb://h:1/?readConcernLevel=linearizable', 'URI_CONCERN'],
    ['mongodb://h:1/?W=1', 'URI_CONCERN'],
    ['mongodb://h:1/?w=1&readConcernLevel=local', undefined],
    ['mongodb://h:1/?w=majority', undefined],
    ['mongodb://h:1/?w=2', undefined],
    ['mongodb://h:1/?loadBalanced=true', 'URI_OPTION'],
    ['mongodb://h:1/?tlsCAFilee=/x.pem', 'URI_OPTION'],
    ['mongodb://h:1/?tlsCertificateFile=/x.pem&tlsPrivateKeyFile=/y.pem', 'URI_OPTION'],
    ['mongodb://h:1/?tlsDisableOCSPEndpointCheck=true&uuidRepresentation=standard', undefined],
    ['mongodb://[::1]:27017', undefined],
    ['mongodb://h:1/?tls=true&authMechanism=MONGODB-X509&tlsCertificateKeyFile=/x.pem', undefined],
  ] as const) {
    it(`${uri || 'nothing'}: ${code ?? 'taken'}`, () => assert.equal(codeOf(uri), code))
  }

  it("takes options of PBM's driver by its own names, and tells which have no effect", () => {
    const uri =
      'mongodb://h:1/?sslCertificateAuthorityFile=%2Fca.pem&uuidRepresentation=standard&compressors=snappy,zlib'
    const options = Object.fromEntries(parseUri(uri).searchParams)
    assert.deepEqual(options, { tlsCAFile: '/ca.pem', compressors: 'zlib' })
    assert.match(ignoredUriOptionsText(uri) ?? '', /ignored: uuidRepresentation, compressors=snappy in/)
    assert.equal(ignoredUriOptionsText('h:1/?replicaSet=rs0&W=majority'), undefined)
  })

  it('never shows a piece of a password, in valid URIs or broken ones, masks or errors', () => {
    const password = fc.string({ minLength: 4, maxLength: 20, unit: fc.constantFrom(...'QWXZ125@:/?#%&=') })
    fc.assert(
      fc.property(
        password,
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom('', '/', '/?a=b'),
        (secret, encode, scheme, end) => {
          const password = encode ? encodeURIComponent(secret) : secret
          const uri = `${scheme ? 'mongodb://' : ''}user:${password}@host:27017${end}`
          const part = secret.match(/[QWXZ]{2,}/)?.[0]
          if (part !== undefined) assert(!maskText(`cannot use mongodb://user:${password}@host now`).includes(part))
          try {
            // What is no host of the URI is never connected to, nor told.
            assert.deepEqual(parseUri(uri).hosts, ['host:27017'])
          } catch (error) {
            assert(error instanceof PbmError, String(error))
            assert.equal(error.message, 'the MongoDB URI cannot be read')
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('is made for another user of the same servers, whatever is in the password', () => {
    const uri = 'h1:1,h2:2/?replicaSet=rs&tls=true&authMechanism=MONGODB-X509&authSource=users'
    const given = parseUri(uriForUser(uri, 'a@b', 'p:/?#%@&authSource=x'))
    assert.deepEqual(given.hosts, ['h1:1', 'h2:2'])
    assert.deepEqual([given.username, given.password].map(decodeURIComponent), ['a@b', 'p:/?#%@&authSource=x'])
    assert.deepEqual(Object.fromEntries(given.searchParams), { replicaSet: 'rs', tls: 'true', authSource: 'users' })
    assert.equal(parseUri(uriForUser('mongodb://me:secret@h:1/', 'you', 'x')).username, 'you')
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
