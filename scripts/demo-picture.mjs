/*
 * Draws docs/demo.svg, the picture of the README, from a real run:
 *   npm run --silent demo 2>/dev/null | node scripts/demo-picture.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs'

const LINE = 18
const CHARACTER = 7.85
const MARGIN = 16

const output = readFileSync(0, 'utf8')
const start = output.indexOf('Loading sample data')
const end = output.indexOf('\n', output.indexOf('No difference'))
if (start < 0 || end < start) throw new Error('this is not the output of a demo that ended well')
const lines = output
  .slice(start, end)
  .replaceAll(/\/\S+\/pbmkit-demo-\w+/g, '')
  .split('\n')
  .map((line) => (line.length > 108 ? `${line.slice(0, 107)}…` : line))

const width = Math.ceil(Math.max(...lines.map((line) => line.length)) * CHARACTER) + 2 * MARGIN
const height = lines.length * LINE + 2 * MARGIN
const text = lines.map((line, index) => {
  const color = line.startsWith('  $ ') ? '#7ee787' : /^\S/.test(line) ? '#ffffff' : '#c9d1d9'
  return line === ''
    ? ''
    : `<text x="${MARGIN}" y="${MARGIN + (index + 1) * LINE - 5}" fill="${color}">${escaped(line)}</text>\n`
})
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>What npm run demo prints</title>
<style>text { font: 13px ui-monospace, Menlo, Consolas, monospace; white-space: pre }</style>
<rect width="100%" height="100%" rx="8" fill="#161b22"/>
${text.join('')}</svg>
`
writeFileSync(new URL('../docs/demo.svg', import.meta.url), svg)

function escaped(line) {
  return line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('  ', '\u00a0\u00a0')
}
