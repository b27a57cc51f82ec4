// Joins the fragments of changelog.d/ into CHANGELOG.md, as the section of a release, and deletes them.
//
//   npm run changelog -- 0.2.0            # dated today
//   npm run changelog -- 0.2.0 2031-02-03
//   npm run changelog                     # only shows the section
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = process.env.PBMKIT_CHANGELOG_ROOT ?? dirname(dirname(fileURLToPath(import.meta.url)))
const KINDS = ['security', 'added', 'changed', 'fixed', 'removed']
const NAME = new RegExp(`^[a-z0-9-]+\\.(${KINDS.join('|')})\\.md$`)
const TOP = '# Changelog\n'

const [version, date = new Date().toISOString().slice(0, 10)] = process.argv.slice(2)
const folder = join(root, 'changelog.d')
const fragments = readdirSync(folder)
  .filter((name) => name !== 'README.md')
  .sort()
const misnamed = fragments.filter((name) => !NAME.test(name))
if (misnamed.length > 0)
  fail(`${misnamed.join(', ')}: a fragment is named WHAT.KIND.md, KIND one of ${KINDS.join(', ')}`)
if (version !== undefined && fragments.length === 0) fail('changelog.d/ has no fragment: nothing to release')

const entry = (name) => `- ${readFileSync(join(folder, name), 'utf8').trim().replaceAll('\n', '\n  ')}\n`
const sections = KINDS.flatMap((kind) => {
  const entries = fragments.filter((name) => name.endsWith(`.${kind}.md`)).map(entry)
  return entries.length === 0 ? [] : [`### ${kind[0].toUpperCase()}${kind.slice(1)}\n\n${entries.join('')}`]
})
const text = `## ${version ?? 'Unreleased'}${version ? ` (${date})` : ''}\n\n${sections.join('\n')}`
if (version === undefined) {
  process.stdout.write(text)
} else {
  const file = join(root, 'CHANGELOG.md')
  const before = readFileSync(file, 'utf8')
  if (!before.startsWith(TOP)) fail(`CHANGELOG.md does not begin with "${TOP.trim()}"`)
  writeFileSync(file, `${TOP}\n${text}${before.slice(TOP.length)}`)
  for (const name of fragments) rmSync(join(folder, name))
}

function fail(message) {
  console.error(`changelog: ${message}`)
  process.exit(1)
}
