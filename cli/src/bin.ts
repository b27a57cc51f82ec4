#!/usr/bin/env node
import { Console } from 'node:console'

/** Node's first version with all that is used: zstd, and finding the packages of plugins. */
const OLDEST_NODE = [22, 15] as const

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  // Said here, since an older Node already fails at the imports of the modules below.
  process.stderr.write(`Error: pbm needs Node.js ${OLDEST_NODE.join('.')} or later; this is ${process.version}\n`)
  process.exit(1)
}

// A connection string or a setting on the command line may hold a secret: ps shows it no more.
process.title = 'pbm'

// What plugins and their libraries print while they are loaded must not get among the results.
globalThis.console = new Console(process.stderr)

await import('reflect-metadata')
const { endProcess } = await import('@pbmkit/core')
const { main } = await import('./main.js')

const interrupt = new AbortController()
process.once('SIGINT', () => {
  interrupt.abort()
  // A second Ctrl-C ends the process at once.
  process.once('SIGINT', () => endProcess(130))
})
// `pbm list | head` closes the pipe early: that is the reader's right and no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') endProcess(0)
  throw error
})

const { stdin, stdout, stderr, env } = process
const code = await main(process.argv.slice(2), { stdin, stdout, stderr, env, signal: interrupt.signal })
// Not merely `exitCode`: a connection that is still being given up must not hold the shell.
stdout.write('', () => endProcess(code))
