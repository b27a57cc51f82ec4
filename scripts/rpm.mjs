/*
 * Makes an rpm of what pack.mjs has packed. Run by `npm run pack -- --rpm`. Needs rpmbuild: the package rpm-build of Fedora and
 * RHEL, rpm of Debian and Ubuntu.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ABOUT, PREPARE_HOST } from './host-tree.mjs'

const ARCHITECTURES = { x64: 'x86_64', arm64: 'aarch64' }

// What is packed is built already: nothing of it is stripped, compiled or looked through for needs.
const SPEC = (version, stage) => `%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
%global _binary_payload w3.zstdio
Name: pbmkit
Version: ${version.replaceAll('-', '~')}
Release: 1
Summary: ${ABOUT.summary}
License: Apache-2.0
AutoReqProv: no
Requires: glibc, libstdc++, /usr/sbin/useradd

%description
${ABOUT.lines.join('\n')}

%install
cp -a "${stage}/." "%{buildroot}/"

%files
%defattr(-,root,root,-)
/usr/bin/*
/usr/lib/pbmkit
/usr/lib/systemd/system/pbm-agent.service
/usr/share/doc/pbmkit
%dir /etc/pbmkit
%attr(0640,root,root) %config(noreplace) /etc/pbmkit/pbm-agent.env

%post
${PREPARE_HOST}
%preun
if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then systemctl disable --now pbm-agent.service || true; fi
`

/** Makes the package of the tree below `stage`, and puts it into `folder`; its path. */
export function makeRpm(stage, folder, version) {
  const architecture = ARCHITECTURES[process.arch]
  if (architecture === undefined) throw new Error(`there is no name of ${process.arch} for rpm here`)
  const work = mkdtempSync(join(tmpdir(), 'pbmkit-rpm-'))
  try {
    const spec = join(work, 'pbmkit.spec')
    writeFileSync(spec, SPEC(version, stage))
    const options = ['-bb', '--quiet', '--target', architecture, '--define', `_topdir ${work}`]
    execFileSync('rpmbuild', [...options, spec], { stdio: 'inherit' })
    const [made] = globSync('RPMS/**/*.rpm', { cwd: work })
    const target = join(folder, basename(made))
    cpSync(join(work, made), target)
    return target
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
