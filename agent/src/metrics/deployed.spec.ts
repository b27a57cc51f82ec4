import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { Exposition } from './exposition.js'
import { FAMILIES } from './families.js'

const ROOT = join(import.meta.dirname, '../../../..')
const RULES = 'deploy/prometheus/pbmkit.rules.yml'
const SCRAPE = 'deploy/prometheus/prometheus.yml'
const DASHBOARD = 'deploy/grafana/pbmkit.json'

interface Rules {
  groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[]
}
interface Panel {
  id: number
  type: string
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { refId: string; expr: string }[]
}

const read = (path: string) => readFile(join(ROOT, path), 'utf8')
const rulesOf = async () => (parse(await read(RULES)) as Rules).groups.flatMap(({ rules }) => rules)
const panelsOf = async () => (JSON.parse(await read(DASHBOARD)) as { panels: Panel[] }).panels

/** What promtool says; undefined where it is not installed. */
function promtool(...args: string[]): { status: number | null; output: string } | undefined {
  const { error, status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined
  return { status, output: `${stdout}${stderr}` }
}

describe('what is deployed beside the metrics', () => {
  let families: ReadonlyMap<string, string>
  before(async () => {
    const exposition = new Exposition()
    const text = await exposition.text([])
    exposition.close()
    families = new Map([...text.matchAll(/^# HELP (\w+) (.*)$/gm)].map(([, name = '', help = '']) => [name, help]))
  })

  it('asks for nothing that no agent tells', async () => {
    const rules = await rulesOf()
    const expressions = [
      ...rules.map(({ expr }) => expr),
      ...(await panelsOf()).flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ]
    assert.ok(expressions.length > 30)
    const names = expressions.flatMap((expr) => expr.match(/\b(?:pbmkit|process|nodejs)_\w+/g) ?? [])
    const unknown = names.filter(
      (name) => !families.has(name) && !families.has(name.replace(/_(bucket|sum|count)$/, '')),
    )
    assert.deepEqual(unknown, [])
  })

  it('has alerts that Prometheus takes, and that fire when they should', async function () {
    for (const { alert, annotations } of await rulesOf()) assert.ok(annotations.summary.length > 10, alert)
    const checked = promtool('check', 'config', join(ROOT, SCRAPE))
    // Only where promtool is.
    if (checked === undefined) this.skip()
    assert.equal(checked.status, 0, checked.output)
    const tested = promtool('test', 'rules', join(ROOT, 'deploy/prometheus/pbmkit.rules.test.yml'))
    assert.equal(tested?.status, 0, tested?.output)
  })

  it('has a dashboard whose panels have their places and their queries', async function () {
    const panels = await panelsOf()
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
    const taken = new Set<string>()
    for (const { type, title, gridPos, targets = [] } of panels) {
      assert.equal(type === 'row', targets.length === 0, title)
      assert.ok(gridPos.x + gridPos.w <= 24, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x} ${y}`), `${title} lies on another panel`)
          taken.add(`${x} ${y}`)
        }
      }
    }
    const folder = await mkdtemp(join(tmpdir(), 'pbmkit-dashboard-'))
    try {
      // As rules, which promtool knows how to read.
      const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
      const rules = queries.map((expr, n) => ({
        record: `query_${n}`,
        expr: expr.replaceAll('$__rate_interval', '5m'),
      }))
      await writeFile(join(folder, 'rules.yml'), stringify({ groups: [{ name: 'dashboard', rules }] }))
      const checked = promtool('check', 'rules', join(folder, 'rules.yml'))
      if (checked === undefined) this.skip()
      assert.equal(checked.status, 0, checked.output)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('are all in the documentation, with what they mean', async () => {
    const rows = [...families]
      .filter(([name]) => name.startsWith('pbmkit_'))
      .map(([name, help]) => {
        const labels = (FAMILIES as Readonly<Record<string, { labels: readonly string[] }>>)[name]?.labels
        const own = labels ?? (name.startsWith('pbmkit_storage_') && !name.includes('retries') ? ['call'] : [])
        return `| \`${name}\` | ${own.map((label) => `\`${label}\``).join(', ')} | ${help} |`
      })
    const documented = (await read('docs/metrics.md')).split('\n').filter((line) => line.startsWith('| `pbmkit_'))
    assert.deepEqual(documented, rows)
  })
})
