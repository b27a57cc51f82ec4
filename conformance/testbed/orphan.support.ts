// Started by supervisor.e2e.ts to be killed: starts a server, a helper process and a folder, says so, and waits.
import { spawnSupervised, startReplicaSet, temporaryFolder } from './index.js'

const set = await startReplicaSet()
const folder = await temporaryFolder()
const helper = spawnSupervised('sleep', ['600'], { stdio: 'ignore' })
const [member] = set.members
process.stdout.write(`${JSON.stringify({ pids: [member?.pid, helper.pid], folder })}\n`)
setInterval(() => undefined, 1_000)
