import assert from 'node:assert/strict'
import { PluginHost, parseConfig } from '@pbmkit/core'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

/** Blocks of YAML in Markdown that are a configuration: they say where backups are kept. */
function configurationsIn(text: string): { line: number; yaml: string }[] {
  const lines = text.split('\n')
  const found: { line: number; yaml: string }[] = []
  for (const [index, fence] of lines.entries()) {
    const margin = /^( {0,3})```yaml$/.exec(fence)?.[1]
    if (margin === undefined) continue
    const block = lines.slice(index + 1, lines.indexOf(`${margin}\`\`\``, index + 1))
    const yaml = block.map((line) => line.slice(margin.length)).join('\n')
    if (/^storage:/m.test(yaml) && /^ +type:/m.test(yaml)) found.push({ line: index + 1, yaml })
  }
  return found
}

describe('configurations in the documentation', () => {
  const root = repositoryRoot()
  const host = new PluginHost({ resolveFrom: import.meta.url })

  // Templates and plugins of strangers name a storage that is not installed here.
  const elsewhere = /^(create-pbmkit-plugin|examples)\//
  for (const file of repositoryFiles(root).filter((path) => path.endsWith('.md') && !elsewhere.test(path))) {
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
