import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { InspectedPlugin } from '@pbmkit/core'
import { PluginWatch } from './plugin-watch.js'

describe('PluginWatch', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-plugins-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  async function install(name: string): Promise<void> {
    const place = join(folder, 'node_modules', name)
    await mkdir(place, { recursive: true })
    await writeFile(
      join(place, 'package.json'),
      JSON.stringify({ name, version: '3.2.1', exports: './main.js', keywords: ['pbmkit-plugin'] }),
    )
    await writeFile(join(place, 'main.js'), 'export default {}')
  }

  it('tells names at once, faults once they are known, and all anew when something was installed', async () => {
    const asked: string[] = []
    const watch = new PluginWatch({
      resolveFrom: 'file:///nowhere/main.js',
      pluginDir: folder,
      signal: new AbortController().signal,
      inspect: async ({ pluginDir }) => {
        asked.push(pluginDir ?? '')
        return [{ kind: 'storage', name: `looked ${asked.length}` } as InspectedPlugin]
      },
    })
    await install('pbmkit-storage-a')
    const first = await watch.plugins()
    assert.deepEqual(first.storage, ['a'])
    assert.deepEqual(asked, [], 'an agent that starts is left alone')
    assert.equal(first.installed?.find(({ name }) => name === 'a')?.version, '3.2.1')

    await watch.plugins()
    assert.deepEqual(
      (await watch.plugins()).installed?.map(({ name }) => name),
      ['looked 1'],
    )
    await watch.plugins()
    assert.equal(asked.length, 1)

    await install('pbmkit-storage-b')
    const later = await watch.plugins()
    assert.deepEqual(later.storage, ['a', 'b'])
    assert.deepEqual(
      later.installed?.map(({ name }) => name),
      ['a', 'b', 'none'],
    )
    await watch.plugins()
    assert.deepEqual(
      (await watch.plugins()).installed?.map(({ name }) => name),
      ['looked 2'],
    )
  })
})
