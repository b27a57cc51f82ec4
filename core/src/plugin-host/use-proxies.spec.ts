import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { startHttpProxy } from '@pbmkit/conformance/testbed'

/** In a process of its own: what it sets is set for all of it. */
describe('useProxies', () => {
  const run = async (env: NodeJS.ProcessEnv) => {
    const module = new URL('./use-proxies.js', import.meta.url).href
    const text = `const { useProxies } = await import('${module}'); try { useProxies(process.env) } catch (error) { console.log(error.code) }
      await fetch('https://storage.invalid/x').catch(() => undefined)`
    const args = ['--input-type=module', '--eval', text]
    const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH: process.env.PATH, ...env } })
    return stdout.trim()
  }

  it('sends fetch through HTTPS_PROXY, but for hosts of NO_PROXY', async () => {
    const proxy = await startHttpProxy({ refuse: true })
    await run({ HTTPS_PROXY: proxy.url })
    await run({ HTTPS_PROXY: proxy.url, NO_PROXY: 'storage.invalid' })
    await proxy.stop()
    assert.deepEqual(proxy.seen, ['CONNECT storage.invalid:443'])
  }).timeout(30_000)

  it('says what is wrong with a proxy that is none', async () => {
    assert.equal(await run({ HTTPS_PROXY: 'nonsense' }), 'PROXY_INVALID')
  }).timeout(30_000)
})
