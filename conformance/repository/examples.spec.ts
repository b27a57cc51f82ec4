import assert from 'node:assert/strict'
import { extractExamples, fitToStage } from './examples.js'

describe('examples in documents', () => {
  it('takes marked blocks only, and joins those of one name', () => {
    const text = [
      '```sh\nrm -rf untested\n```',
      '<!-- test: first, needs: replset agent -->\n```sh\necho one\n```',
      'text',
      '<!-- test: other -->\n\n```js\nconsole.log(1)\n```',
      '<!-- test: first -->\n```sh\necho two\n```',
    ].join('\n')
    assert.deepEqual(extractExamples('a.md', text), [
      {
        file: 'a.md',
        name: 'first',
        language: 'sh',
        needs: ['replset', 'agent'],
        code: 'echo one\necho two\n',
        line: 4,
      },
      { file: 'a.md', name: 'other', language: 'js', needs: [], code: 'console.log(1)\n', line: 9 },
    ])
  })

  it('takes what is indented in a list, but not a mark that is shown as code', () => {
    const text =
      '1. do:\n\n   <!-- test: listed -->\n   ```sh\n   if true; then\n     echo one\n   fi\n   ```\n\n    <!-- test: shown -->\n'
    const [found, ...others] = extractExamples('a.md', text)
    assert.equal(found?.code, 'if true; then\n  echo one\nfi\n')
    assert.deepEqual(others, [])
  })

  it('refuses marks that would silently test nothing', () => {
    assert.throws(() => extractExamples('a.md', '<!-- test first -->\n```sh\n```'), /a\.md:1: write/)
    assert.throws(() => extractExamples('a.md', '<!-- test: first -->\ntext'), /a\.md:1: a block/)
    assert.throws(() => extractExamples('a.md', '<!-- test: x, needs: moon -->\n```sh\n```'), /unknown need: moon/)
  })

  it('replaces made-up servers, folders and backups by those of the test', () => {
    const code =
      "export U='mongodb://a:b@host:1/?x=y'\nmkdir /backups; ls /data/backups /etc/pbm/keys\npbm restore 2031-02-03T04:05:06Z -y"
    assert.equal(
      fitToStage(code, { uri: 'mongodb://real', backups: '/tmp/x', keys: '/tmp/k' }),
      "export U='mongodb://real'\nmkdir /tmp/x; ls /data/backups /tmp/k\npbm restore $(newest_backup) -y",
    )
    assert.equal(
      fitToStage('pbm describe-restore 2031-02-05T01:02:03.004Z', { uri: '', backups: '', keys: '' }),
      'pbm describe-restore $(newest_restore)',
    )
  })
})
