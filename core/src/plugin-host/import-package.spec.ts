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
    // It does end here, so that it is not named as this process ends.
    const hanging = source('await new Promise((resolve) => { globalThis.endLoading = resolve })')
    const work = importPackage(hanging, { ...options, limitMs: 50 })
    await assert.rejects(work, {
      code: 'PLUGIN_LOAD',
      message: 'storage plugin "odd" is still not loaded after 0.05 s',
    })
    ;(globalThis as { endLoading?: () => void }).endLoading?.()
  })

  const HANGS = source('await new Promise(() => {})')
  const load = (text: string, label: string, limit = 30_000) =>
    `importPackage(${JSON.stringify(text)}, { label: '${label}', hint: '', limitMs: ${limit} })`
  const named = (label: string) => `the process was ended while this was loaded: ${label}\n`
  const exits = (code: string) => source(`process.exit(${code})`)
  const ENDS: [string, string, [number, string]][] = [
    ['names one that ends the process as if all were well', `await ${load(exits('0'), 'odd')}`, [1, named('odd')]],
    ['names one that ends the process with a code of its own', `await ${load(exits('3'), 'odd')}`, [3, named('odd')]],
    [
      'names it when another of the same name has been loaded before it',
      `${load(source(`await new Promise((r) => setTimeout(r, 200)); process.exit(0)`), 'odd')}
await ${load(source('export default 1'), 'odd')}
await new Promise((r) => setTimeout(r, 20_000))`,
      [1, named('odd')],
    ],
    [
      'names it when nobody waits for it any more',
      `${load(source(`await new Promise((r) => setTimeout(r, 300)); process.exit(0)`), 'odd', 50)}.catch(() => undefined)
await new Promise((r) => setTimeout(r, 20_000))`,
      [1, named('odd')],
    ],
    ['blames none when the program ends itself', `${load(HANGS, 'odd')}; endProcess(0)`, [0, '']],
    ['keeps the code with which the program ends itself', `${load(HANGS, 'odd')}; endProcess(130)`, [130, '']],
    ['blames none when nothing is left to do', `${load(HANGS, 'odd', 50)}.catch(() => undefined)`, [0, '']],
    ['blames none when all are loaded', `await ${load(source('export default 1'), 'odd')}; process.exit(0)`, [0, '']],
  ]
  for (const [what, lines, expected] of ENDS) {
    it(what, async () => {
      const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
      const script = `import { importPackage } from ${url('./import-package.js')}
import { endProcess } from ${url('./end-process.js')}
${lines}`
      const [exit, stderr] = await new Promise<[number | null, string]>((resolve) => {
        const child = execFile(process.execPath, ['--input-type=module', '-e', script], (_error, _stdout, told) =>
          resolve([child.exitCode, told]),
        )
      })
      assert.deepEqual([exit, stderr], expected)
    })
  }
})
