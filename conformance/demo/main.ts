import { constants } from 'node:os'
import { setInterval } from 'node:timers'
import { parseArgs } from 'node:util'
import { runDemo } from './demo.js'
import { farewell } from './farewell.js'

/*
 * `npm run demo`, with `-- --physical` by the files of the servers. However it ends, nothing is left running or on disk: in order where this process is told to stop,
 * and by the testbed's supervisor where it is killed.
 */
const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    process.exitCode = 128 + constants.signals[signal]
    if (!abort.signal.aborted) process.stderr.write(`\n${signal}: stopping the servers and removing their data …\n`)
    abort.abort()
  })
}
// npm does not pass every signal on to what it runs: when it is gone, so is whoever asked for the demo. It is the
// parent because each script on the way replaces its shell by `exec`.
const parent = process.ppid
setInterval(() => {
  if (process.ppid !== parent && !abort.signal.aborted) {
    process.exitCode = 128 + constants.signals.SIGTERM
    abort.abort()
  }
}, 250).unref()

try {
  const { values } = parseArgs({ options: { physical: { type: 'boolean', default: false } } })
  const options = { isPhysical: values.physical }
  await runDemo(abort.signal, options)
  process.stdout.write(farewell(options))
} catch (error) {
  if (!abort.signal.aborted) {
    process.exitCode = 1
    process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`)
  }
}

// What an aborted demo had begun would keep this process alive until it ends.
process.exit()
