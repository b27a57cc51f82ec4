import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Long, type MongoClient, Timestamp } from 'mongodb'
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'
import { type Cluster, until } from '../cluster.support.js'
import { startBrowser } from './browser.support.js'
import { writePast } from './past.support.js'
import { startShop, startWeb, type Web } from './web.support.js'

const HOSTILE = '<img src=x onerror="window.hacked=1">'
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

describe('the page of pbm web, in a browser', () => {
  let browser: Browser
  let cluster: Cluster
  let admin: MongoClient
  let web: Web
  let context: BrowserContext
  let page: Page
  /** What the browser's console says is a fault of the page. */
  let complaints: string[]

  before(async function () {
    const started = await startBrowser()
    if (started === undefined) return this.skip()
    browser = started
    cluster = await startShop()
    admin = await cluster.set.client()
    await admin.db('shop').collection(HOSTILE).insertOne({ a: 1 })
    web = await startWeb(cluster.uri)
  })

  beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
    page = await context.newPage()
    complaints = []
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(web.url)
    await page.getByRole('heading', { name: 'What can I go back to?' }).waitFor()
  })

  afterEach(async () => {
    await context?.close()
    assert.deepEqual(complaints, [])
  })

  after(async () => {
    await browser?.close()
    await web?.stop()
    await cluster?.stop()
  })

  const names = (locator: Locator) => locator.locator('tbody th').allTextContents()
  const accessible = async (what: string) => {
    await page.evaluate(await readFile(AXE, 'utf8'))
    const found = await page.evaluate(async () => {
      const { axe } = globalThis as unknown as {
        axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> }
      }
      const { violations } = await axe.run()
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' ')}`)
    })
    assert.deepEqual(found, [], what)
  }

  it('keeps the token out of the address, and lets in who comes again', async () => {
    assert.equal(page.url(), `${web.origin}/`)
    await page.reload()
    await page.locator('.health').getByText('All is well').first().waitFor()
  })

  it('backs up, shows it, and brings a lost collection back', async () => {
    await page.getByRole('button', { name: 'Back up now …' }).click()
    const dialog = page.getByRole('dialog')
    assert.equal(await dialog.getByLabel('Command line').textContent(), 'pbm backup')
    await dialog.getByRole('button', { name: 'Back up', exact: true }).click()
    const backups = page.getByRole('region', { name: 'Backups' })
    await backups.locator('tbody').getByText('done').first().waitFor()
    const [name = ''] = await names(backups)
    await admin.db('shop').collection('orders').drop()

    await backups.getByRole('button', { name: `Restore … ${name}` }).click()
    await dialog.getByLabel('Only these namespaces').fill('shop.*')
    await dialog.getByLabel('Only these namespaces').blur()
    await dialog.getByText('shop.* will be replaced').waitFor()
    await dialog.getByText('Restored: 2 namespaces').waitFor()
    assert.equal(await dialog.getByLabel('Command line').textContent(), `pbm restore '--ns=shop.*' ${name}`)
    await accessible('the dialog of a restore')
    const restore = dialog.getByRole('button', { name: 'Restore', exact: true })
    await dialog.getByLabel(/type the name of the cluster/).fill('rs')
    assert.ok(await restore.isDisabled())
    await dialog.getByLabel(/type the name of the cluster/).fill(cluster.set.name)
    await restore.click()
    await dialog.waitFor({ state: 'hidden' })
    await page.locator('#restores tbody').getByText('done').first().waitFor()
    assert.equal(await admin.db('shop').collection('orders').countDocuments(), 2)
  })

  it('pauses, resumes and runs a schedule', async () => {
    await cluster.pbm(['schedule', 'add', 'weekly', '--do', 'verify', '--cron', '30 2 * * 0'])
    const schedules = page.getByRole('region', { name: 'Schedules' })
    const dialog = page.getByRole('dialog')
    const act = async (button: string, line: string) => {
      await schedules.getByRole('button', { name: `${button} … weekly` }).click()
      assert.equal(await dialog.getByLabel('Command line').textContent(), line)
      await dialog.getByRole('button', { name: button, exact: true }).click()
      await dialog.waitFor({ state: 'hidden' })
    }
    await act('Pause', 'pbm schedule pause weekly')
    await schedules.getByText('paused').waitFor()
    await act('Resume', 'pbm schedule resume weekly')
    await schedules.getByText(/^in \d+ (days|hours|minutes)$/).waitFor()
    await act('Run now', 'pbm schedule run weekly')
    await schedules.getByText('done').waitFor()
  })

  it('verifies a backup, and shows what is damaged', async () => {
    const [name = ''] = await names(page.locator('#backups'))
    const folder = join(cluster.folder, 'backups', name)
    const file = (await readdir(folder, { recursive: true })).find((path) => path.includes('shop.orders'))
    assert.ok(file, 'an object of shop.orders')
    const content = await readFile(join(folder, file))
    const verification = page.getByRole('region', { name: 'Verification' })
    const dialog = page.getByRole('dialog')
    const verify = async (result: string) => {
      await verification.getByRole('button', { name: `Verify … ${name}` }).click()
      assert.equal(await dialog.getByLabel('Command line').textContent(), `pbm verify --no-wait ${name}`)
      await dialog.getByRole('button', { name: 'Verify', exact: true }).click()
      await dialog.getByText(result).first().waitFor()
      await accessible('the dialog of a verification')
      await page.keyboard.press('Escape')
      await verification.locator('tbody').getByText(result).first().waitFor()
    }
    await writeFile(join(folder, file), content.subarray(0, -1))
    await verify('damaged')
    await verification.getByText('1 damage').waitFor()
    await page.locator('.health').getByText(`1 damaged backup: ${name}`).waitFor()
    await writeFile(join(folder, file), content)
    await verify('all is right')
    await page.locator('.health').getByText('All is well').first().waitFor()
  })

  it('shows hostile names and lines as they are', async () => {
    const [record] = await admin.db('admin').collection('pbmBackups').find().toArray()
    const { _id, ...known } = record ?? { _id: undefined }
    await admin
      .db('admin')
      .collection('pbmBackups')
      .insertOne({
        ...known,
        ...{ name: `${HOSTILE}\u202ex`, status: 'error', error: HOSTILE, opid: 'f'.repeat(24), nss: [`${HOSTILE}.*`] },
      })
    const line = { ts: Long.fromNumber(Math.floor(Date.now() / 1000)), ns: 0, tz: 0, s: 1, rs: HOSTILE, node: HOSTILE }
    await admin
      .db('admin')
      .collection('pbmLog')
      .insertOne({ ...line, e: HOSTILE, eobj: HOSTILE, msg: HOSTILE })
    await admin
      .db('admin')
      .collection('pbmAgents')
      .updateOne({}, { $set: { e: HOSTILE } })
    const row = page.getByRole('region', { name: 'Backups' }).locator('tr', { hasText: HOSTILE })
    await row.waitFor()
    assert.ok((await row.locator('th').textContent())?.startsWith(`${HOSTILE}\\u202ex`))
    await page.getByRole('log').getByText(HOSTILE).first().waitFor()
    await row.getByRole('button', { name: 'Details' }).click()
    await page.getByRole('dialog').getByText('Command line').waitFor()
    assert.ok((await page.getByRole('dialog').textContent())?.includes(HOSTILE))
    assert.equal(await page.locator('img').count(), 0)
    assert.equal(await page.evaluate(() => 'hacked' in globalThis), false)
    await admin
      .db('admin')
      .collection('pbmBackups')
      .deleteOne({ opid: 'f'.repeat(24) })
  })

  it('is used by the keyboard alone, and speaks', async () => {
    const moment = page.getByRole('slider', { name: 'Moment to go back to' })
    await moment.focus()
    const spoken = () => moment.getAttribute('aria-valuetext')
    const first = await spoken()
    assert.match(first ?? '', /UTC, backup$/)
    await page.keyboard.press('ArrowLeft')
    assert.notEqual(await spoken(), first)
    assert.match((await spoken()) ?? '', /can not be restored$/)
    await page.keyboard.press('PageUp')
    assert.equal(await spoken(), first)
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
    assert.equal(await page.evaluate('document.activeElement?.id'), 'moment')
    await accessible('the page')
    await page.emulateMedia({ colorScheme: 'dark' })
    await accessible('the dark page')
  })

  it('fits on a narrow screen', async () => {
    await page.setViewportSize({ width: 360, height: 700 })
    await page.locator('#backups tbody').getByText('done').first().waitFor()
    const width = Number(await page.evaluate('document.documentElement.scrollWidth'))
    assert.ok(width <= 360, `${width} pixels`)
    await accessible('the narrow page')
  })

  it('says so when the server is gone, and goes on when it is back', async () => {
    await page.locator('.health').getByText('All is well').first().waitFor()
    const { port } = new URL(web.origin)
    await web.stop()
    await page.getByText('the session is over').waitFor()
    web = await startWeb(cluster.uri, ['--port', port])
    await page.goto(web.url)
    await page.locator('.health').getByText('All is well').first().waitFor()
    complaints = complaints.filter((text) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|status of 401/.test(text))
  })

  it('is as light with 5,000 backups and 22,000 chunks', async () => {
    const { version } = await admin.db('admin').command({ buildInfo: 1 })
    const end = Math.floor(Date.now() / 1000) - 600
    const shape = {
      replset: cluster.set.name,
      host: cluster.host,
      backups: 5_000,
      chunks: 22_000,
      end,
      chunkSeconds: 600,
    }
    await writePast(admin, { ...shape, mongodbVersion: version, fcv: version.split('.').slice(0, 2).join('.') })
    await page.getByText(/but for 1 gap, and to 4,7\d\d backups/).waitFor()
    const elements = Number(await page.evaluate("document.querySelectorAll('*').length"))
    assert.ok(elements < 1_500, `${elements} elements`)
    const moment = page.getByRole('slider', { name: 'Moment to go back to' })
    await moment.focus()
    for (let times = 0; times < 8; times++) await page.keyboard.press('+')
    await moment.hover({ position: { x: 500, y: 40 } })
    await page.locator('.hint').getByText('can be restored').waitFor()
    await moment.click({ position: { x: 500, y: 40 } })
    await page.getByText('This second can be restored.').waitFor()
    await until('the moment to be that of the chunks', async () => {
      const now = Number(await moment.getAttribute('aria-valuenow'))
      return now > end - 22_000 * 600 && new Timestamp({ t: now, i: 0 }).t < end
    })
  })
})
