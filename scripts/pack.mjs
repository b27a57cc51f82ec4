/*
 * Packs what is installed on hosts: agent, command line, plugins. Run by `npm run pack`, which builds first:
 *   npm run pack                                          all plugins, into packed/
 *   npm run pack -- /tmp/packed --with storage-s3         the storage S3 alone, beside what agent and command line need
 *   npm run pack -- --deb                                 a Debian package as well, with a Node.js of its own
 *   npm run pack -- --rpm                                 the same for Fedora, RHEL and their kin
 */
import { execFileSync } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { makeDeb } from './deb.mjs'
import { layTree } from './host-tree.mjs'
import { makeRpm } from './rpm.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const packages = new Map(
  globSync(
    workspaces.map((folder) => `${folder}/package.json`),
    { cwd: root },
  )
    .map((path) => [JSON.parse(readFileSync(join(root, path), 'utf8')), dirname(path)])
    .filter(([manifest]) => manifest.private !== true)
    .map(([manifest, folder]) => [manifest.name, { manifest, folder }]),
)

const { values, positionals } = parseArgs({
  options: { with: { type: 'string' }, deb: { type: 'boolean' }, rpm: { type: 'boolean' } },
  allowPositionals: true,
})
const target = resolve(positionals[0] ?? join(root, 'packed'))
const plugins = [...packages].filter(([, { folder }]) => folder.startsWith('plugins')).map(([name]) => name)
const chosen = values.with?.split(',').map((name) => (packages.has(name) ? name : `@pbmkit/${name}`)) ?? plugins
const unknown = chosen.filter((name) => !packages.has(name))
if (unknown.length > 0) {
  console.error(`there is no ${unknown.join(', ')} here; there are: ${[...packages.keys()].join(', ')}`)
  process.exit(64)
}

/** A package and all of ours that npm would install with it. */
function withNeeds(name, found = new Set()) {
  if (found.has(name) || !packages.has(name)) return found
  found.add(name)
  const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = packages.get(name).manifest
  const peers = Object.keys(peerDependencies).filter((peer) => peerDependenciesMeta[peer]?.optional !== true)
  for (const needed of [...Object.keys(dependencies), ...peers]) withNeeds(needed, found)
  return found
}
const wanted = new Set()
for (const name of ['@pbmkit/agent', '@pbmkit/cli', ...chosen]) withNeeds(name, wanted)

mkdirSync(target, { recursive: true })
// What an earlier call packed would be installed too.
for (const old of globSync('*pbmkit-*.tgz', { cwd: target })) rmSync(join(target, old))
const folders = [...wanted].map((name) => `./${packages.get(name).folder}`)
execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', target, ...folders], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
})
const shown = relative(process.cwd(), target).startsWith('..') ? target : `./${relative(process.cwd(), target)}`
console.log(`${wanted.size} packages are in ${shown}. On every host, with Node.js 22.15 or later:

  npm install --prefix /opt/pbmkit ${shown}/*.tgz
  ln -s /opt/pbmkit/node_modules/.bin/pbm /opt/pbmkit/node_modules/.bin/pbm-agent /usr/local/bin/
`)
if (values.deb || values.rpm) {
  const { version } = packages.get('@pbmkit/agent').manifest
  const stage = mkdtempSync(join(tmpdir(), 'pbmkit-stage-'))
  try {
    layTree(stage, target)
    if (values.deb)
      console.log(
        `Debian and Ubuntu, without any other Node.js:\n\n  apt-get install ${makeDeb(stage, target, version)}\n`,
      )
    if (values.rpm)
      console.log(`Fedora and RHEL, without any other Node.js:\n\n  dnf install ${makeRpm(stage, target, version)}\n`)
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}
