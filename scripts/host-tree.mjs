/*
 * What stands on a host, as packages for Debian and for Fedora hold it: agent, command line and plugins in /usr/lib/pbmkit,
 * with a Node.js of their own.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, globSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const HOME = '/usr/lib/pbmkit'
const PROGRAMS = { pbm: '@pbmkit/cli', 'pbm-agent': '@pbmkit/agent', 'pbm-agent-entrypoint': '@pbmkit/agent' }
const ENVIRONMENT = `# The mongod beside the agent. Readable by root and pbm only.
#PBM_MONGODB_URI=mongodb://pbm:PASSWORD@127.0.0.1:27017/?authSource=admin
`

export const ABOUT = {
  summary: 'backup framework for MongoDB, in the formats of Percona Backup for MongoDB',
  lines: [
    'The agent that runs beside every mongod, the command line, and their plugins,',
    'with the Node.js they need. Nothing is started before it has its URI:',
    '/etc/pbmkit/pbm-agent.env.',
  ],
}

/** Run as root when the package is installed: the user of the unit. */
export const PREPARE_HOST = `getent passwd pbm >/dev/null || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin pbm
chown root:pbm /etc/pbmkit/pbm-agent.env
chmod 0640 /etc/pbmkit/pbm-agent.env
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
`

/** Lays the tree out below `stage`, from the tarballs in `packed`. */
export function layTree(stage, packed) {
  const path = (...names) => join(stage, ...names)
  const put = (name, text, mode = 0o644) => {
    mkdirSync(dirname(path(name)), { recursive: true })
    writeFileSync(path(name), text)
    chmodSync(path(name), mode)
  }
  const home = path(HOME)
  mkdirSync(join(home, 'bin'), { recursive: true })
  const tarballs = globSync('*pbmkit-*.tgz', { cwd: packed }).map((name) => join(packed, name))
  const install = ['install', '--prefix', home, '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund']
  execFileSync('npm', [...install, ...tarballs], { cwd: home, stdio: ['ignore', 'ignore', 'inherit'] })
  // Names of this machine stand in them, and nothing reads them any more.
  for (const name of ['package.json', 'package-lock.json', 'node_modules/.package-lock.json']) rmSync(join(home, name))
  const node = realpathSync(join(root, 'node_modules', 'node', 'bin', 'node'))
  cpSync(node, join(home, 'bin', 'node'))
  chmodSync(join(home, 'bin', 'node'), 0o755)
  for (const [program, owner] of Object.entries(PROGRAMS)) {
    const { bin } = JSON.parse(readFileSync(join(home, 'node_modules', owner, 'package.json'), 'utf8'))
    const main = join(HOME, 'node_modules', owner, bin[program])
    put(`/usr/bin/${program}`, `#!/bin/sh\nexec ${HOME}/bin/node ${main} "$@"\n`, 0o755)
  }
  put('/usr/lib/systemd/system/pbm-agent.service', readFileSync(join(root, 'deploy/systemd/pbm-agent.service')))
  put('/etc/pbmkit/pbm-agent.env', ENVIRONMENT, 0o640)
  put('/usr/share/doc/pbmkit/copyright', readFileSync(join(root, 'LICENSE')))
  chmodSync(stage, 0o755)
}
