/*
 * Draws docs/floors.svg: the floors of core/src in the order that the border test holds, with the words of the table in
 * docs/architecture.md. Run it after `npm run build`: node scripts/floors-picture.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { CORE_FLOORS } from '../conformance/dist/repository/border-rules.js'

const HEIGHT = 30
const WIDTH = 760
const LEFT = 40

const table = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8')
const words = new Map(
  [...table.matchAll(/^\| `([\w-]+)` \| (.+) \|$/gm)].map(([, floor, text]) => [floor, text.replaceAll('`', '')]),
)
const floors = CORE_FLOORS.filter((floor) => !floor.endsWith('.ts')).toReversed()
const rows = floors.map((floor, index) => {
  const text = words.get(floor)
  if (text === undefined) throw new Error(`docs/architecture.md does not say what ${floor} holds`)
  const y = 10 + index * HEIGHT
  return `<rect x="${LEFT}" y="${y}" width="${WIDTH - LEFT - 10}" height="${HEIGHT - 4}" rx="4"/>
<text class="floor" x="${LEFT + 10}" y="${y + 17}">${floor}</text><text x="${LEFT + 120}" y="${y + 17}">${text}</text>
`
})
const bottom = 10 + floors.length * HEIGHT
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${bottom + 8}" viewBox="0 0 ${WIDTH} ${bottom + 8}" role="img">
<title>The floors of core/src: each may import what is below it</title>
<style>
svg { background: #ffffff } rect { fill: #eef2f6; stroke: #8aa0b4 } path { stroke: #8aa0b4; stroke-width: 2; fill: none }
text { font: 13px system-ui, sans-serif; fill: #1f2933 } .floor { font-weight: 600 } .arrow { font-size: 12px }
</style>
<path d="M20 14 V${bottom - 8} M14 ${bottom - 16} L20 ${bottom - 8} L26 ${bottom - 16}"/>
<text class="arrow" transform="translate(14 ${Math.round(bottom / 2)}) rotate(-90)">imports</text>
${rows.join('')}</svg>
`
writeFileSync(new URL('../docs/floors.svg', import.meta.url), svg)
