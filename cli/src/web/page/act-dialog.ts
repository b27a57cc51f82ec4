import { type ComponentChild, type ComponentChildren, h } from 'preact'
import { useState } from 'preact/hooks'
import { type Choice, shellLine, wordsOf } from '../action-line.js'
import type { Outcome } from '../protocol.js'
import { post, reportOf } from './api.js'
import { CommandLine, Dialog, Notes, Problem } from './parts.js'

/** Has it done, and tells how that went. */
export function useAct(): {
  readonly isBusy: boolean
  readonly outcome: Partial<Outcome<object>>
  readonly act: (choice: Choice) => Promise<Partial<Outcome<object>>>
} {
  const [isBusy, setBusy] = useState(false)
  const [outcome, setOutcome] = useState<Partial<Outcome<object>>>({})
  const act = async (choice: Choice) => {
    setBusy(true)
    const told = await post<Outcome<object>>('/api/act', choice).catch(
      (error): Partial<Outcome<object>> => ({ error: reportOf(error) }),
    )
    setBusy(false)
    setOutcome(told)
    return told
  }
  return { isBusy, outcome, act }
}

/** Says what will be done, and the line that does it, before it is done. */
export function ActDialog(props: {
  title: ComponentChildren
  text: string
  /** Of the button. */
  verb: string
  choice: Choice
  onClose: () => void
}): ComponentChild {
  const { title, text, verb, choice, onClose } = props
  const { isBusy, outcome, act } = useAct()
  const begin = async (event: Event) => {
    event.preventDefault()
    const { error } = await act(choice)
    if (error === undefined) onClose()
  }
  return h(Dialog, {
    title,
    onClose,
    children: h('form', { onSubmit: begin }, [
      h('p', null, text),
      h(Notes, { notes: outcome.notes ?? [] }),
      outcome.error === undefined ? null : h(Problem, { report: outcome.error }),
      h(CommandLine, { line: shellLine(wordsOf(choice)) }),
      h('div', { class: 'buttons' }, [
        h('button', { type: 'submit', class: 'primary', disabled: isBusy }, isBusy ? 'Starting …' : verb),
        h('button', { type: 'button', onClick: onClose }, 'Leave everything as it is'),
      ]),
    ]),
  })
}
