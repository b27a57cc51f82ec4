import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Session } from '../session.js'

/**
 * Opens the page by a file that only this user can read and that leads there: all users of the machine see the words of a
 * program, and the address has the token in it. What is returned removes the file.
 */
export async function openBrowser(address: string, session: Session): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'pbm-web-'))
  const file = join(folder, 'open.html')
  const markup = `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=${address}"><title>pbm</title>\n`
  await writeFile(file, markup, { mode: 0o600 })
  const [program = 'xdg-open', ...words] = OPENERS[process.platform] ?? ['xdg-open']
  const child = spawn(program, [...words, file], { stdio: 'ignore', detached: true })
  child.on('error', () => session.output.warn(`no browser can be opened (${program}); open the address yourself`))
  child.unref()
  return () => rm(folder, { recursive: true, force: true })
}

const OPENERS: Readonly<Record<string, readonly string[]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
}
