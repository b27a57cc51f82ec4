import { readFile } from 'node:fs/promises'
import { PbmError } from '@pbmkit/core'

export interface PageFile {
  readonly path: string
  readonly type: string
  readonly content: Buffer
}

/** All that a browser loads, beside the markup. */
export type PageFiles = readonly PageFile[]

/** An arrow back in time. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0f766e"/><path d="M9 16a7.5 7.5 0 1 0 2.4-5.5M9 7.5v5h5M16.5 12v4.5l3 2" fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"/></svg>`

/** Reads the page, which is part of this package. Rejects with WEB_PAGE where it has not been built. */
export async function pageFiles(): Promise<PageFiles> {
  const read = (name: string) => readFile(new URL(`./${name}`, import.meta.url))
  try {
    return [
      { path: '/page.mjs', type: 'text/javascript; charset=utf-8', content: await read('page.mjs') },
      { path: '/page.css', type: 'text/css; charset=utf-8', content: await read('page.css') },
      { path: '/icon.svg', type: 'image/svg+xml', content: Buffer.from(ICON) },
    ]
  } catch (cause) {
    throw new PbmError('WEB_PAGE', 'the page is not built', { hint: 'In a clone, run: npm run build', cause })
  }
}

/** The document, which holds no data: the script asks for all of it. `text` stands there instead, where nobody is let in. */
export function pageMarkup(text?: string): string {
  const script = text === undefined ? '\n<script type="module" src="/page.mjs"></script>' : ''
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>pbm</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page.css">${script}
</head>
<body>
<div id="page"><p class="notice">${text ?? 'Loading …'}</p></div>
<noscript><p class="notice">This page needs JavaScript. Everything it shows and does is in the command line, too: pbm --help</p></noscript>
</body>
</html>
`
}
