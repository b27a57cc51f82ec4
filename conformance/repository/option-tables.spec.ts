import assert from 'node:assert/strict'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { readText, repositoryFiles, repositoryRoot } from './files.js'
import { type OptionSchema, optionTable, withOptionTable } from './option-tables.js'

describe('tables of options', () => {
  it('are up to date in the README of every plugin that has options', async () => {
    const root = repositoryRoot()
    const packages = repositoryFiles(root).filter((path) =>
      /^plugins\/(storage|encryption)-[\w-]+\/package\.json$/.test(path),
    )
    const old: string[] = []
    for (const path of packages) {
      const folder = path.slice(0, -'/package.json'.length)
      const [, kind = '', name = ''] = /^plugins\/(\w+)-([\w-]+)/.exec(path) ?? []
      const module: unknown = await import(pathToFileURL(join(root, folder, 'dist/index.js')).href)
      const { optionsSchema } = (module as { default: { optionsSchema: OptionSchema } }).default
      if (Object.keys(optionsSchema.properties ?? {}).length === 0) continue
      const readme = readText(root, `${folder}/README.md`)
      const section = `${kind}.${name}`
      if (
        !readme.includes(optionTable(section, optionsSchema)) ||
        withOptionTable(readme, section, optionsSchema) !== readme
      )
        old.push(`${folder}: run node scripts/option-tables.mjs`)
    }
    assert.deepEqual(old, [])
  })

  it('show type, range, need and meaning, and sections by their keys', () => {
    const schema: OptionSchema = {
      type: 'object',
      required: ['path'],
      properties: {
        path: { type: 'string', description: 'a folder | <that> exists' },
        port: { type: 'integer', minimum: 1, maximum: 9 },
        keys: {
          type: 'object',
          description: 'none: guessed',
          properties: { key: { type: 'string', writeOnly: true } },
        },
        retry: { type: 'object', properties: { wait: { type: ['string', 'integer'], description: 'how long' } } },
      },
    }
    const table = `| Key under \`storage.x\` | Type | Meaning |
| --- | --- | --- |
| \`path\` | text, required | A folder \\| \\<that\\> exists. |
| \`port\` | number, 1 to 9 |  |
| \`keys\` | section | None: guessed. |
| \`keys.key\` | secret |  |
| \`retry.wait\` | duration | How long. |
`
    assert.equal(optionTable('storage.x', schema), table)
    const marks = ['<!-- options: made from the schema by scripts/option-tables.mjs -->\n', '<!-- end of options -->\n']
    assert.equal(withOptionTable(`a\n${marks.join('old\n')}b`, 'storage.x', schema), `a\n${marks.join(table)}b`)
    assert.equal(withOptionTable('no marks', 'storage.x', schema), 'no marks')
  })
})
