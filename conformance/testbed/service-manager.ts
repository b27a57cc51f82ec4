import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MongodProcess } from './mongod.js'

/** For an agent: how it has its mongod started. Fails once where `fail` is in the folder, and waits while `hold` is. */
export function startCommand(folder: string, port: number): string {
  const once = `if rm ${folder}/fail 2>/dev/null; then exit 3; fi`
  const held = `while [ -e ${folder}/hold ]; do touch ${folder}/held; sleep 0.05; done`
  return `${once}; ${held}; touch ${folder}/start-${port}`
}

/** Starts servers when agents ask for it, as a service manager would. Gives what ends that. */
export function serviceManager(members: () => readonly MongodProcess[], folder: string): () => Promise<void> {
  const stop = new AbortController()
  // All at once: shards do not serve before the config servers do.
  const starting: Promise<void>[] = []
  const serving = (async () => {
    while (!stop.signal.aborted) {
      for (const name of await readdir(folder).catch(() => [])) {
        if (!name.startsWith('start-')) continue
        await rm(join(folder, name), { force: true })
        const member = members().find(({ port }) => name === `start-${port}`)
        // One that does not start is for the agent to notice.
        if (member !== undefined) starting.push(member.restart().catch(() => undefined))
      }
      await sleep(20)
    }
  })()
  return async () => {
    stop.abort()
    await serving
    await Promise.all(starting)
  }
}
