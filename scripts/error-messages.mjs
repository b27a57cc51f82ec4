/*
 * Writes the messages of each error code into docs/troubleshooting.md, so that a message can be looked up there; those of
 * plugins are left out, as each storage has its own. Run it after `npm run build`: node scripts/error-messages.mjs
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { errorCodesOf, withMessages } from '../conformance/dist/repository/error-codes.js'

const root = new URL('../', import.meta.url)
const files = execFileSync('git', ['ls-files', '-z', 'core/src', 'agent/src', 'cli/src'], {
  cwd: root,
  encoding: 'utf8',
})
const sources = files.split('\0').filter((path) => path.endsWith('.ts') && !/\.(spec|e2e|support)\./.test(path))
const messagesOf = new Map()
for (const path of sources)
  for (const [code, messages] of errorCodesOf(readFileSync(new URL(path, root), 'utf8')))
    messagesOf.set(code, new Set([...(messagesOf.get(code) ?? []), ...messages]))
const page = new URL('docs/troubleshooting.md', root)
writeFileSync(page, withMessages(readFileSync(page, 'utf8'), messagesOf))
