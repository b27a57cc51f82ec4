import assert from 'node:assert/strict'
import { certifiedHost, cookieOf, foreignFault, isLoopbackHost, isSameSecret, secret, sessionCookie } from './access.js'

describe('who may ask pbm web', () => {
  const fault = (headers: Record<string, string>, method = 'GET') =>
    foreignFault({ method, headers }, 'http', isLoopbackHost)

  it('comes under a name of loopback, whatever the port', () => {
    for (const host of ['127.0.0.1:8080', 'localhost', 'LOCALHOST:1', '[::1]:9'])
      assert.equal(fault({ host }), undefined)
    for (const host of [
      '',
      'evil.example',
      '127.0.0.1.evil.example:80',
      'localhost.:80',
      '10.0.0.1',
      '[::2]:1',
      '127.0.0.1:x',
    ])
      assert.match(fault({ host }) ?? '', /Host/, host)
  })

  it('comes from the page itself, or follows a link to it', () => {
    const host = 'localhost:1'
    assert.equal(fault({ host, 'sec-fetch-site': 'same-origin' }), undefined)
    assert.equal(fault({ host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }), undefined)
    assert.match(fault({ host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }) ?? '', /another site/)
    assert.match(fault({ host, 'sec-fetch-site': 'same-site' }) ?? '', /another site/)
  })

  it('acts with the origin of the page alone', () => {
    const host = 'localhost:1'
    assert.equal(fault({ host, origin: 'http://localhost:1' }, 'POST'), undefined)
    for (const origin of ['https://localhost:1', 'http://localhost:2', 'http://127.0.0.1:1', 'null', ''])
      assert.match(fault({ host, origin }, 'POST') ?? '', /another site/, origin)
    assert.match(fault({ host }, 'POST') ?? '', /without Origin/)
  })

  it('for teams, comes under a name that the certificate has', () => {
    const certificate = {
      checkHost: (name: string) => (name === 'pbm.example' ? name : undefined),
      checkIP: (address: string) => (address === '10.1.2.3' || address === '::1' ? address : undefined),
    }
    const isHost = certifiedHost(certificate)
    assert.deepEqual(['pbm.example', '10.1.2.3', '[::1]', 'evil.example', '10.1.2.4'].map(isHost), [
      true,
      true,
      true,
      false,
      false,
    ])
  })

  it('has one cookie, which no script reads and no other site sends', () => {
    const value = secret()
    assert.ok(value.length >= 43 && value !== secret())
    assert.equal(sessionCookie('a', value, { isSecure: true }), `a=${value}; Path=/; HttpOnly; SameSite=Strict; Secure`)
    assert.equal(cookieOf({ cookie: `b=1; a=${value}` }, 'a'), value)
    assert.equal(cookieOf({ cookie: `a=1; a=${value}` }, 'a'), undefined)
    assert.equal(cookieOf({}, 'a'), undefined)
    assert.deepEqual([isSameSecret(value, value), isSameSecret('', value)], [true, false])
  })
})
