import { type ComponentChild, h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { type RestoreChoice, shellLine, wordsOf } from '../action-line.js'
import type { Outcome, Question } from '../protocol.js'
import { post, reportOf } from './api.js'
import { CommandLine, Dialog, Name, Notes, Problem } from './parts.js'
import { type Plan, PlanView } from './plan.js'
import { utc, visibleText } from './text.js'

type Told<Result> = Partial<Outcome<Result>>

export interface RestoreDialogProps {
  readonly choice: RestoreChoice
  readonly cluster: string
  readonly onClose: () => void
}

/** What is to be restored; what that would do, in the words of the command and as an agent plans it; and the confirmation. */
export function RestoreDialog({ choice: first, cluster, onClose }: RestoreDialogProps): ComponentChild {
  const [choice, setChoice] = useState(first)
  const [typed, setTyped] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [outcome, setOutcome] = useState<Told<object>>({})
  const { question, plan } = useForecast(choice)
  const asked = question?.result?.question
  // While an agent looks, the cluster would refuse the restore.
  const isLooking = question?.result?.canBePlanned === true && plan === undefined
  const change = (changed: RestoreChoice) => {
    setChoice(changed)
    setTyped('')
    setOutcome({})
  }
  const restore = async (event: Event) => {
    event.preventDefault()
    if (asked === undefined) return
    setBusy(true)
    const body = { restore: choice, question: asked, cluster: typed }
    const told = await post<Outcome<object>>('/api/restore', body).catch(
      (error): Told<object> => ({ error: reportOf(error) }),
    )
    setBusy(false)
    if (told.error === undefined) onClose()
    else setOutcome(told)
  }
  return h(Dialog, {
    title:
      choice.backup === undefined
        ? `Restore ${utc(Date.parse(`${choice.time}Z`) / 1000)} UTC`
        : ['Restore backup ', h(Name, { of: choice.backup })],
    onClose,
    children: h('form', { onSubmit: restore }, [
      h(Part, { choice, onChange: change }),
      h('h3', null, 'What will happen'),
      h('div', { role: 'status' }, [
        question === undefined ? h('p', { class: 'quiet' }, 'Checking …') : null,
        question?.error === undefined ? null : h(Problem, { report: question.error }),
        asked === undefined
          ? null
          : h(
              'ul',
              { class: 'happens' },
              sentences(asked).map((line) => h('li', null, visibleText(line))),
            ),
        h(Notes, { notes: question?.notes ?? [] }),
      ]),
      question?.result?.canBePlanned === true ? h(PlanView, { plan }) : null,
      h(CommandLine, { line: shellLine(wordsOf(choice)) }),
      outcome.error === undefined ? null : h(Problem, { report: outcome.error }),
      h('div', { class: 'field' }, [
        h('label', { for: 'restore-cluster' }, [
          'To confirm, type the name of the cluster: ',
          h('strong', null, h(Name, { of: cluster })),
        ]),
        h('input', {
          ...{ id: 'restore-cluster', type: 'text', value: typed, autocomplete: 'off', spellcheck: false },
          onInput: (event: Event) => setTyped((event.currentTarget as HTMLInputElement).value),
        }),
      ]),
      h('div', { class: 'buttons' }, [
        h(
          'button',
          {
            type: 'submit',
            class: 'danger',
            disabled: isBusy || isLooking || asked === undefined || typed !== cluster,
          },
          isBusy ? 'Starting …' : 'Restore',
        ),
        h('button', { type: 'button', onClick: onClose }, 'Leave everything as it is'),
      ]),
    ]),
  })
}

/** All, or a part. The choice changes when a field is left. */
function Part({
  choice,
  onChange,
}: {
  choice: RestoreChoice
  onChange: (choice: RestoreChoice) => void
}): ComponentChild {
  const { ns, keepExisting, withoutUsersAndRoles, ...target } = choice
  const [text, setText] = useState(ns ?? '')
  return h('div', { class: 'filters' }, [
    h('div', { class: 'field wide' }, [
      h('label', { for: 'restore-ns' }, 'Only these namespaces (empty for all)'),
      h('input', {
        ...{ id: 'restore-ns', type: 'text', value: text, placeholder: 'shop.orders, crm.*', spellcheck: false },
        onInput: (event: Event) => setText((event.currentTarget as HTMLInputElement).value),
        onChange: () => onChange(text.trim() === '' ? target : { ...target, ns: text.trim() }),
      }),
    ]),
    ns === undefined
      ? h('label', { class: 'check' }, [
          h('input', {
            ...{ type: 'checkbox', checked: withoutUsersAndRoles === true },
            onChange: () =>
              onChange(withoutUsersAndRoles === true ? target : { ...target, withoutUsersAndRoles: true }),
          }),
          'leave users and roles as they are',
        ])
      : h('label', { class: 'check' }, [
          h('input', {
            ...{ type: 'checkbox', checked: keepExisting === true },
            onChange: () => onChange({ ...target, ns, ...(keepExisting === true ? {} : { keepExisting: true }) }),
          }),
          'only put back what is missing',
        ]),
  ])
}

/** The look of an agent that was asked for last, from whatever dialog: the cluster does one thing at a time. */
let lookUnderWay: Promise<unknown> = Promise.resolve()

/**
 * The question, and then what an agent finds that it would do. Where another choice is made meanwhile, what is found for the
 * first is waited for and dropped.
 */
function useForecast(choice: RestoreChoice): { question: Told<Question> | undefined; plan: Told<Plan> | undefined } {
  const [question, setQuestion] = useState<Told<Question> | undefined>()
  const [plan, setPlan] = useState<Told<Plan> | undefined>()
  useEffect(() => {
    let isCurrent = true
    setQuestion(undefined)
    setPlan(undefined)
    const look = async () => {
      await lookUnderWay
      if (!isCurrent) return
      const asked = await told(post<Outcome<Question>>('/api/question', choice))
      if (!isCurrent) return
      setQuestion(asked)
      if (asked.result?.canBePlanned !== true) return
      const planned = told(post<Outcome<Plan>>('/api/plan', choice))
      lookUnderWay = planned
      const found = await planned
      if (isCurrent) setPlan(found)
    }
    void look()
    return () => {
      isCurrent = false
    }
  }, [choice])
  return { question, plan }
}

function told<Result>(request: Promise<Outcome<Result>>): Promise<Told<Result>> {
  return request.catch((error): Told<Result> => ({ error: reportOf(error) }))
}

/** Without the last, which a person answers at a terminal. */
function sentences(question: string): string[] {
  return question.split('\n').filter((line) => line !== 'Go ahead?')
}
