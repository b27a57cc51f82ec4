import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { runEntrypoint, sidecarOf } from './entrypoint.js'

describe('pbm-agent-entrypoint', () => {
  /** Ends with its number of the start. */
  const starts = (ends: (count: number) => string) => {
    const started: string[][] = []
    const start = (args: readonly string[]) => {
      started.push([...args])
      return spawn(process.execPath, ['-e', ends(started.length)], { stdio: 'ignore' })
    }
    return { started, start }
  }

  it('knows the variables of PBM', () => {
    assert.deepEqual(sidecarOf({}), { again: false, pauseMs: 1_000 })
    assert.deepEqual(sidecarOf({ PBM_AGENT_SIDECAR: 'true', PBM_AGENT_SIDECAR_SLEEP: '5' }), {
      again: true,
      pauseMs: 5_000,
    })
    assert.equal(sidecarOf({ PBM_AGENT_SIDECAR_SLEEP: '250ms' }).pauseMs, 250)
    assert.throws(() => sidecarOf({ PBM_AGENT_SIDECAR: 'perhaps' }), /PBM_AGENT_SIDECAR: "perhaps"/)
    assert.throws(() => sidecarOf({ PBM_AGENT_SIDECAR_SLEEP: 'long' }), /PBM_AGENT_SIDECAR_SLEEP: "long"/)
  })

  it('ends with the agent, and with its code', async () => {
    const { started, start } = starts(() => 'process.exitCode = 7')
    assert.equal(await runEntrypoint({ args: ['/usr/bin/pbm-agent', '--log-json'], env: {}, start }), 7)
    assert.deepEqual(started, [['--log-json']])
    const killed = starts(() => 'process.kill(process.pid, "SIGKILL")')
    assert.equal(await runEntrypoint({ args: [], env: {}, start: killed.start }), 137)
  })

  it('starts it again as a sidecar, until it is told to end', async () => {
    const told = Promise.withResolvers<void>()
    const { started, start } = starts((count) => (count < 3 ? 'process.exitCode = 1' : 'setInterval(() => {}, 1000)'))
    const env = { PBM_AGENT_SIDECAR: '1', PBM_AGENT_SIDECAR_SLEEP: '1ms' }
    const notes: string[] = []
    const ended = runEntrypoint({
      args: [],
      env,
      note: (text) => notes.push(text),
      start: (args) => {
        const child = start(args)
        if (started.length === 3) child.once('spawn', () => told.resolve())
        return child
      },
    })
    await told.promise
    process.emit('SIGTERM', 'SIGTERM')
    assert.equal(await ended, 143)
    assert.equal(started.length, 3)
    assert.match(notes[0] ?? '', /ended with 1; it is started again in 0\.001 s/)
  })
})
