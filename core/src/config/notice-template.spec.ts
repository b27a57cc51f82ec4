import assert from 'node:assert/strict'
import { expandTemplate, NOTICE_FIELDS, type NoticeFields, templateFault } from './notice-template.js'

describe('the template of a webhook', () => {
  const fields = Object.fromEntries(NOTICE_FIELDS.map((name) => [name, `<${name}>`])) as NoticeFields

  it('names fields, and nothing else is put in', () => {
    assert.equal(
      expandTemplate('{{ event }}: {{text}} <%= 1 %> {{constructor}}', fields, false),
      '<event>: <text> <%= 1 %> ',
    )
    assert.match(templateFault('{{constructor}}', false) ?? '', /there are event/)
    assert.equal(templateFault('{{text}}', false), undefined)
  })

  it('stays JSON, whatever the texts hold', () => {
    const hostile = { ...fields, text: '"}, "x": "\n{{error}}\\' }
    const body = expandTemplate('{"text": "{{text}}"}', hostile, true)
    assert.deepEqual(JSON.parse(body), { text: hostile.text })
  })
})
