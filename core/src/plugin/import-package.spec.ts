import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { importPackage } from './import-package.js'

const source = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`
const options = { label: 'storage plugin "odd"', hint: 'install it anew' }

describe('loading a package of somebody else', () => {
  it('gives it, or what it throws', async () => {
    const module = await importPackage<{ default: number }>(source('export default 7'), options)
    assert.equal(module.default, 7)
    const { hint } = options
    await assert.rejects(importPackage(source("throw new Error('no licence')"), options), {
      code: 'PLUGIN_LOAD',
      message: 'storage plugin "odd" throws while it is loaded',
      hint,
      cause: new Error('no licence'),
    })
  })

  it('does not wait for ever for one that never ends loading', async () => {
    const work = importPackage(source('await new Promise(() => {})'), { ...options, limitMillis: 50 })
    await assert.rejects(work, {
      code: 'PLUGIN_LOAD',
      message: 'storage plugin "odd" is still not loaded after 0.05 s',
    })
  })

  for (const code of ['process.exit(0)', 'process.exit(3)']) {
    it(`names one that ends the process with ${code}, which is no success`, async () => {
      const loads = new URL('./import-package.js', import.meta.url).href
      const script = `import { importPackage } from ${JSON.stringify(loads)}
await importPackage(${JSON.stringify(source(code))}, { label: 'storage plugin "odd"', hint: '' })`
      const [exit, stderr] = await new Promise<[number | null, string]>((resolve) => {
        const child = execFile(process.execPath, ['--input-type=module', '-e', script], (_error, _stdout, told) =>
          resolve([child.exitCode, told]),
        )
      })
      assert.deepEqual([exit, stderr], [1, 'the process was ended while this was loaded: storage plugin "odd"\n'])
    })
  }
})
