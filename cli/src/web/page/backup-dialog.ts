import { type ComponentChild, h } from 'preact'
import { useState } from 'preact/hooks'
import { type BackupChoice, shellLine, wordsOf } from '../action-line.js'
import type { Outcome } from '../protocol.js'
import { post, reportOf } from './api.js'
import { CommandLine, Dialog, Notes, Problem } from './parts.js'

/** What to back up, and the line that does it. */
export function BackupDialog({ onClose }: { onClose: () => void }): ComponentChild {
  const [type, setType] = useState<BackupChoice['type']>('logical')
  const [ns, setNs] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [outcome, setOutcome] = useState<Partial<Outcome>>({})
  const choice: BackupChoice = { do: 'backup', type, ...(type === 'logical' && ns !== '' ? { ns } : {}) }
  const begin = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    const told = await post<Outcome>('/api/act', choice).catch(
      (error): Partial<Outcome> => ({ error: reportOf(error) }),
    )
    setBusy(false)
    if (told.error === undefined) onClose()
    else setOutcome(told)
  }
  return h(Dialog, {
    title: 'Back up now',
    onClose,
    children: h('form', { onSubmit: begin }, [
      h('fieldset', null, [
        h('legend', null, 'Type'),
        ...(['logical', 'physical'] as const).map((each) =>
          h('label', { class: 'check' }, [
            h('input', { type: 'radio', name: 'type', checked: type === each, onChange: () => setType(each) }),
            each === 'logical' ? 'logical: documents and indexes' : 'physical: the files of a member',
          ]),
        ),
      ]),
      type === 'logical'
        ? h('div', { class: 'field' }, [
            h('label', { for: 'backup-ns' }, 'Only these namespaces (empty for all)'),
            h('input', {
              ...{ id: 'backup-ns', type: 'text', value: ns, placeholder: 'shop.orders, crm.*', spellcheck: false },
              onInput: (event: Event) => setNs((event.currentTarget as HTMLInputElement).value),
            }),
          ])
        : null,
      h(Notes, { notes: outcome.notes ?? [] }),
      outcome.error === undefined ? null : h(Problem, { report: outcome.error }),
      h(CommandLine, { line: shellLine(wordsOf(choice)) }),
      h('div', { class: 'buttons' }, [
        h('button', { type: 'submit', class: 'primary', disabled: isBusy }, isBusy ? 'Starting …' : 'Back up'),
      ]),
    ]),
  })
}
