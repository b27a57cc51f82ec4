import assert from 'node:assert/strict'
import { tlsFault, tlsOptionsOf } from './tls-errors.js'

const PLAIN = 'mongodb://h/'
const TLS = 'mongodb://h/?tls=true'
const WITH_CA = 'mongodb://h/?tls=true&tlsCAFile=/ca.pem'

describe('Failures of TLS', () => {
  const fault = (uri: string, ...messages: string[]) =>
    tlsFault(
      messages.map((message) => ({ message })),
      tlsOptionsOf(uri),
    )

  it('are told apart by what the driver says and what the URI asks for', () => {
    const closed = 'connection <monitor> to 127.0.0.1:1 closed'
    const untrusted = 'self-signed certificate in certificate chain'
    const cases: [uri: string, message: string, code: string, what: RegExp, hint: RegExp][] = [
      [PLAIN, closed, 'UNREACHABLE', /demands TLS/, /Add tls=true to the URI, and tlsCAFile/],
      ['h/?tlsCAFile=/ca.pem', closed, 'UNREACHABLE', /demands TLS/, /alone does not switch TLS on/],
      [WITH_CA, closed, 'UNREACHABLE', /after the greeting/, /tlsCertificateKeyFile/],
      [
        TLS,
        'Client network socket disconnected before secure TLS connection was established',
        'TLS',
        /server does not speak it/,
        /Take tls=true out/,
      ],
      [TLS, untrusted, 'TLS', /this machine does not know/, /Add tlsCAFile/],
      [WITH_CA, untrusted, 'TLS', /not signed by the CA in tlsCAFile/, /CA that signed/],
      [
        WITH_CA,
        "Hostname/IP does not match certificate's altnames: IP: 127.0.0.2 is not in the cert's list",
        'TLS',
        /other host names/,
        /rs\.conf/,
      ],
      [WITH_CA, 'certificate has expired', 'TLS', /expired/, /Renew/],
      [WITH_CA, 'error:1E08010C:DECODER routines::unsupported', 'TLS_FILE', /no key that can be read/, /as PEM/],
      [WITH_CA, 'No verified subject name available from client', 'AUTHENTICATION', /client certificate/, /KeyFile=/],
    ]
    for (const [uri, message, code, what, hint] of cases) {
      const told = fault(uri, 'Server selection timed out after 500 ms', message)
      assert.equal(told?.code, code, message)
      assert.match(told?.what ?? '', what)
      assert.match(told?.hint ?? '', hint)
    }
  })

  it('are not seen where TLS has nothing to do with it', () => {
    for (const uri of [PLAIN, TLS]) assert.equal(fault(uri, 'connect ECONNREFUSED 127.0.0.1:1'), undefined)
    assert.equal(fault(`${WITH_CA}&tlsCertificateKeyFile=/c.pem`, 'connection 3 to h:1 closed'), undefined)
  })

  it('know the options of a URI in any case', () => {
    assert.deepEqual(tlsOptionsOf('mongodb://a:b@h/?SSL=true&TLSCAFILE=/x&tlscertificatekeyfile=/y'), {
      tls: true,
      caFile: true,
      keyFile: true,
    })
    assert.deepEqual(tlsOptionsOf('h:1'), { tls: false, caFile: false, keyFile: false })
  })
})
