import assert from 'node:assert/strict'
import { PluginHost, parseConfig } from '@pbmkit/core'
import { blocksOf } from './blocks.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

/** Other YAML: the settings of an agent, which settings.spec.ts there reads. */
const SETTINGS: readonly string[] = ['agent/README.md']
/** Where only a part is shown. */
const STORAGE = '\nstorage: {type: filesystem, filesystem: {path: /backups}}\n'

function configurationsIn(text: string): { line: number; yaml: string }[] {
  return blocksOf(text)
    .filter(({ language }) => language === 'yaml')
    .map(({ line, code }) => ({ line, yaml: /^storage:/m.test(code) ? code : code + STORAGE }))
}

describe('configurations in the documentation', () => {
  const root = repositoryRoot()
  const host = new PluginHost({ resolveFrom: import.meta.url })

  // Templates and plugins of strangers name a storage that is not installed here.
  const elsewhere = /^(create-pbmkit-plugin|examples)\//
  const files = repositoryFiles(root).filter((path) => path.endsWith('.md') && !elsewhere.test(path))
  for (const file of files.filter((path) => !SETTINGS.includes(path))) {
    for (const { line, yaml } of configurationsIn(readText(root, file))) {
      it(`${file}:${line}`, () => parseConfig(yaml, host))
    }
  }

  it('are found, and a misspelt key in one is, too', async () => {
    const [block] = configurationsIn('text\n```yaml\nstorage:\n  type: filesystem\n  filesystem: { pth: /x }\n```\n')
    assert.equal(block?.line, 2)
    await assert.rejects(parseConfig(block.yaml, host), /pth/)
  })
})
