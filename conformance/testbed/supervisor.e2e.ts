import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { removeTemporaryFolder, spawnSupervised, temporaryFolder } from './index.js'

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function gone(what: () => boolean): Promise<void> {
  while (what()) await sleep(20)
}

describe('supervisor', () => {
  for (const signal of ['SIGKILL', 'SIGINT', 'SIGTERM'] as const) {
    it(`leaves neither processes nor folders behind when the parent ends by ${signal}`, async () => {
      const script = fileURLToPath(new URL('orphan.support.js', import.meta.url))
      const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
      const lines = createInterface({ input: parent.stdout })
      const [line] = await once(lines, 'line')
      const { pids, folder } = JSON.parse(line) as { pids: number[]; folder: string }
      assert.equal(pids.length, 2)
      assert.ok(pids.every(isAlive))
      assert.ok(existsSync(folder))
      parent.kill(signal)
      await once(parent, 'exit')
      await gone(() => pids.some(isAlive))
      await gone(() => existsSync(folder))
    })
  }

  it('forgets processes that ended and folders that were removed', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'file'), 'text')
    const child = spawnSupervised('true', [])
    await once(child, 'exit')
    await removeTemporaryFolder(folder)
    assert.equal(existsSync(folder), false)
  })

  it('tells a command that cannot be run as spawn does', async () => {
    const [error] = await once(spawnSupervised('/no/such/program', []), 'error')
    assert.equal(error.code, 'ENOENT')
  })
})
