/*
 * Makes a Debian package of what pack.mjs has packed: agent, command line and plugins in /usr/lib/pbmkit, with a Node.js of
 * their own. Run by `npm run pack -- --deb`. Needs dpkg-deb, which Debian and Ubuntu have.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const HOME = '/usr/lib/pbmkit'
const PROGRAMS = { pbm: '@pbmkit/cli', 'pbm-agent': '@pbmkit/agent', 'pbm-agent-entrypoint': '@pbmkit/agent' }
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' }

const CONTROL = (version, architecture, size) => `Package: pbmkit
Version: ${version}
Architecture: ${architecture}
Maintainer: pbmkit maintainers <noreply@invalid>
Installed-Size: ${size}
Depends: libc6, libstdc++6
Section: database
Priority: optional
Description: backup framework for MongoDB, in the formats of Percona Backup for MongoDB
 The agent that runs beside every mongod, the command line, and their plugins,
 with the Node.js they need. Nothing is started before it has its URI:
 /etc/pbmkit/pbm-agent.env.
`
const POSTINST = `#!/bin/sh
set -e
if [ "$1" = configure ]; then
  getent passwd pbm >/dev/null || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin pbm
  chown root:pbm /etc/pbmkit/pbm-agent.env
  chmod 0640 /etc/pbmkit/pbm-agent.env
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
fi
`
const PRERM = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now pbm-agent.service || true; fi
`
const ENVIRONMENT = `# The mongod beside the agent. Readable by root and pbm only.
#PBM_MONGODB_URI=mongodb://pbm:PASSWORD@127.0.0.1:27017/?authSource=admin
`

/** Puts the package into the folder of the tarballs; its path. */
export function makeDeb(packed, version) {
  const architecture = ARCHITECTURES[process.arch]
  if (architecture === undefined) throw new Error(`there is no name of ${process.arch} for Debian here`)
  const stage = mkdtempSync(join(tmpdir(), 'pbmkit-deb-'))
  try {
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
    for (const name of ['package.json', 'package-lock.json', 'node_modules/.package-lock.json'])
      rmSync(join(home, name))
    const node = realpathSync(join(root, 'node_modules', 'node', 'bin', 'node'))
    cpSync(node, join(home, 'bin', 'node'))
    chmodSync(join(home, 'bin', 'node'), 0o755)
    for (const [program, owner] of Object.entries(PROGRAMS)) {
      const { bin } = JSON.parse(readFileSync(join(home, 'node_modules', owner, 'package.json'), 'utf8'))
      const main = join(HOME, 'node_modules', owner, bin[program])
      put(`/usr/bin/${program}`, `#!/bin/sh\nexec ${HOME}/bin/node ${main} "$@"\n`, 0o755)
    }
    put('/lib/systemd/system/pbm-agent.service', readFileSync(join(root, 'deploy/systemd/pbm-agent.service')))
    put('/etc/pbmkit/pbm-agent.env', ENVIRONMENT, 0o640)
    put('/usr/share/doc/pbmkit/copyright', readFileSync(join(root, 'LICENSE')))
    const [size] = execFileSync('du', ['-sk', stage], { encoding: 'utf8' }).split('\t')
    put('/DEBIAN/control', CONTROL(version, architecture, size))
    put('/DEBIAN/conffiles', '/etc/pbmkit/pbm-agent.env\n')
    put('/DEBIAN/postinst', POSTINST, 0o755)
    put('/DEBIAN/prerm', PRERM, 0o755)
    chmodSync(stage, 0o755)
    const target = join(packed, `pbmkit_${version}_${architecture}.deb`)
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '-z1', '--build', stage, target], { stdio: 'inherit' })
    return target
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}
