/*
 * Makes a Debian package of what pack.mjs has packed. Run by `npm run pack -- --deb`. Needs dpkg-deb, which Debian and Ubuntu
 * have.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ABOUT, PREPARE_HOST } from './host-tree.mjs'

const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' }

const CONTROL = (version, architecture, size) => `Package: pbmkit
Version: ${version}
Architecture: ${architecture}
Maintainer: pbmkit maintainers <noreply@invalid>
Installed-Size: ${size}
Depends: libc6, libstdc++6
Section: database
Priority: optional
Description: ${ABOUT.summary}
${ABOUT.lines.map((line) => ` ${line}`).join('\n')}
`
const POSTINST = `#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
${PREPARE_HOST}`
const PRERM = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now pbm-agent.service || true; fi
`

/** Makes the package of the tree below `stage`, and puts it into `folder`; its path. */
export function makeDeb(stage, folder, version) {
  const architecture = ARCHITECTURES[process.arch]
  if (architecture === undefined) throw new Error(`there is no name of ${process.arch} for Debian here`)
  const [size] = execFileSync('du', ['-sk', stage], { encoding: 'utf8' }).split('\t')
  const control = join(stage, 'DEBIAN')
  const put = (name, text, mode) => writeFileSync(join(control, name), text, { mode })
  mkdirSync(control)
  try {
    put('control', CONTROL(version, architecture, size), 0o644)
    put('conffiles', '/etc/pbmkit/pbm-agent.env\n', 0o644)
    put('postinst', POSTINST, 0o755)
    put('prerm', PRERM, 0o755)
    const target = join(folder, `pbmkit_${version}_${architecture}.deb`)
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '-z1', '--build', stage, target], { stdio: 'inherit' })
    return target
  } finally {
    rmSync(control, { recursive: true })
  }
}
