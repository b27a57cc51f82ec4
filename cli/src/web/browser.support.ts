import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const USUAL = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
]

/** Of PBMKIT_CHROMIUM, or where systems have it; undefined where there is none. */
function chromiumPath(): string | undefined {
  const given = process.env.PBMKIT_CHROMIUM
  if (given !== undefined && given !== '') return given
  return USUAL.find((path) => existsSync(path))
}

/** A real browser without a window; undefined, and a word why, where none is installed. */
export async function startBrowser(): Promise<Browser | undefined> {
  const executablePath = chromiumPath()
  if (executablePath === undefined) {
    console.log(
      'No Chromium is installed, so the page is not tried in a browser: apt-get install chromium, or PBMKIT_CHROMIUM.',
    )
    return undefined
  }
  // Root has no sandbox of its own there, and nothing foreign is opened.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath, args: [...args, '--disable-gpu', '--disable-dev-shm-usage'] })
}
