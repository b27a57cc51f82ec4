import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

describe('the systemd unit', () => {
  it('is taken by systemd without a word', function () {
    const unit = fileURLToPath(new URL('../../../deploy/systemd/pbm-agent.service', import.meta.url))
    const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' })
    // Only where systemd is.
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') this.skip()
    assert.deepEqual([status, stderr], [0, ''])
  })
})
