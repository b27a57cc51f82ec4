/*
 * Writes the tables of options into the READMEs of plugins, from their JSON schemas. Run it after `npm run build`:
 *   node scripts/option-tables.mjs
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { withOptionTable } from '../conformance/dist/repository/option-tables.js'

const plugins = new URL('../plugins/', import.meta.url)
for (const folder of readdirSync(plugins)) {
  const [, kind, name] = /^(storage|encryption)-(.+)$/.exec(folder) ?? []
  if (kind === undefined) continue
  const { default: plugin } = await import(new URL(`${folder}/dist/index.js`, plugins))
  const readme = new URL(`${folder}/README.md`, plugins)
  writeFileSync(readme, withOptionTable(readFileSync(readme, 'utf8'), `${kind}.${name}`, plugin.optionsSchema))
}
