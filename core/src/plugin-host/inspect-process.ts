import { endProcess } from './end-process.js'
import { PluginHost, type PluginHostOptions } from './host.js'

/** The other end of `inspectApart`: a process that loads every plugin, tells what it found, and is gone. */
process.once('message', (options: PluginHostOptions) => {
  new PluginHost(options).inspect().then(
    (found) => process.send?.(found, () => endProcess(0)),
    () => endProcess(1),
  )
})

/** The agent was killed: nobody waits for the answer. */
process.once('disconnect', () => endProcess(1))
