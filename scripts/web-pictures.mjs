/*
 * Draws the pictures of docs/web.md, from a real cluster in a real browser, and measures how soon the page is there with a long
 * history. Run it after `npm run build`, with a Chromium: node scripts/web-pictures.mjs
 */
import { fileURLToPath } from 'node:url'

const load = (path) => import(new URL(`../cli/dist/${path}`, import.meta.url))
// What it loads first is what the others need.
await load('index.js')
const { startCluster } = await load('cluster.support.js')
const { startBrowser } = await load('web/browser.support.js')
const { writePast } = await load('web/past.support.js')
const { startWeb } = await load('web/web.support.js')
const picture = (name) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url))

const browser = await startBrowser()
if (browser === undefined) process.exit(1)
const cluster = await startCluster()
try {
  await cluster.startAgent()
  const input = `storage: {type: filesystem, filesystem: {path: ${cluster.folder}/backups}}\n`
  await cluster.pbm(['config', '--file', '-', '--wait'], { input })
  const admin = await cluster.set.client()
  const documents = (count) => Array.from({ length: count }, (_, n) => ({ n, text: 'some words '.repeat(20) }))
  await admin.db('shop').collection('orders').insertMany(documents(4000))
  await admin.db('shop').collection('customers').insertMany(documents(900))
  await admin.db('crm').collection('people').insertMany(documents(2500))
  await cluster.pbm(['backup', '--wait'])
  await cluster.pbm(['schedule', 'add', 'nightly', '--cron', '30 2 * * *'])
  await cluster.pbm(['schedule', 'add', 'weekly', '--do', 'verify', '--newer-than', '8d', '--cron', '0 5 * * 0'])
  await cluster.pbm(['schedule', 'run', 'weekly', '--wait'])
  const { version } = await admin.db('admin').command({ buildInfo: 1 })
  const past = {
    ...{ replset: cluster.set.name, host: cluster.host, chunkSeconds: 600 },
    ...{ end: Math.floor(Date.now() / 1000) - 300, mongodbVersion: version, fcv: version.slice(0, 3) },
  }
  await writePast(admin, { ...past, backups: 42, chunks: 40 * 144 })
  const web = await startWeb(cluster.uri)

  const open = async (options) => {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    await page.goto(web.url)
    await page.locator('#backups tbody tr').first().waitFor()
    await page.locator('#log li').first().waitFor()
    return page
  }
  const wide = await open({ viewport: { width: 1180, height: 860 } })
  await wide.getByRole('button', { name: 'Month' }).click()
  await wide.locator('.timeline-field').click({ position: { x: 700, y: 35 } })
  await wide.mouse.move(0, 0)
  await wide.screenshot({ path: picture('web.png') })

  const listed = await open({ viewport: { width: 1180, height: 860 } })
  await listed.locator('#schedules tbody tr').first().waitFor()
  await listed.locator('#verifications tbody tr').first().waitFor()
  // What lies between is in another picture.
  await listed.locator('#backups').evaluate((element) => element.remove())
  const top = await listed.locator('#schedules').boundingBox()
  const end = await listed.locator('#verifications').boundingBox()
  const clip = { x: top.x - 12, y: top.y - 12, width: top.width + 24, height: end.y + end.height - top.y + 24 }
  await listed.screenshot({ path: picture('web-schedules.png'), fullPage: true, clip })

  const dark = await open({ viewport: { width: 1000, height: 800 }, colorScheme: 'dark' })
  await dark
    .locator('#backups')
    .getByRole('button', { name: /^Restore/ })
    .first()
    .click()
  await dark.locator('.plan table').first().waitFor()
  await dark.screenshot({ path: picture('web-restore.png') })

  const narrow = await open({ viewport: { width: 390, height: 780 } })
  await narrow.screenshot({ path: picture('web-narrow.png') })
  await web.stop()

  await admin.db('admin').collection('pbmBackups').deleteMany({})
  await admin.db('admin').collection('pbmPITRChunks').deleteMany({})
  await writePast(admin, { ...past, backups: 5_000, chunks: 22_000 })
  const long = await startWeb(cluster.uri)
  const times = []
  for (let round = 0; round < 5; round++) {
    const page = await browser.newPage()
    await page.goto(long.url)
    await page.getByText(/and to 4,7\d\d backups/).waitFor()
    times.push(
      await page.evaluate(() => ({
        firstPaint: Math.round(performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN),
        allBackups: Math.round(performance.now()),
      })),
    )
    await page.close()
  }
  console.log('With 5,000 backups and 22,000 chunks, milliseconds from the click:', JSON.stringify(times))
  await long.stop()
} finally {
  await browser.close()
  await cluster.stop()
}
process.exit(0)
