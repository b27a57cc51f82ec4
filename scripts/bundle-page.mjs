// Joins the page of `pbm web` into one script and one style sheet, from what tsc has compiled: `npm run build` and the set-up
// run it. No syntax newer than Node 20.
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const web = join(root, 'cli', 'dist', 'web')
/** What a browser loads of it, in bytes: a page for whoever is in a hurry. */
const MOST_BYTES = 200_000

export async function bundlePage() {
  const { build } = await import('esbuild')
  const common = { bundle: true, minify: true, legalComments: 'eof', logLevel: 'warning', target: 'es2022' }
  const script = join(web, 'page.mjs')
  await build({
    ...common,
    entryPoints: [join(web, 'page', 'main.js')],
    outfile: script,
    format: 'esm',
    platform: 'browser',
  })
  await build({
    ...common,
    entryPoints: [join(root, 'cli', 'src', 'web', 'page', 'page.css')],
    outfile: join(web, 'page.css'),
  })
  const { size } = statSync(script)
  if (size > MOST_BYTES) throw new Error(`the script of the page has ${size} bytes; ${MOST_BYTES} are allowed`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await bundlePage()
