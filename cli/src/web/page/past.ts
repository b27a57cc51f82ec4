import { type ComponentChild, h } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { RestoreChoice } from '../action-line.js'
import type { History } from '../protocol.js'
import { type Mark, type Moment, momentOf, newestOf, pastOf, type Target } from './moments.js'
import { Name, Section, Time } from './parts.js'
import { isFailed, summary } from './status.js'
import { iso, secondsOf, span, utc } from './text.js'
import { Timeline } from './timeline.js'

export interface PastProps {
  readonly history: History | undefined
  readonly now: number
  readonly readOnly: boolean
  readonly onRestore: (choice: RestoreChoice) => void
  readonly onDetails: (name: string) => void
}

/** The first part of the page: what can I go back to? */
export function PastSection({ history, now, readOnly, onRestore, onDetails }: PastProps): ComponentChild {
  const backups = history?.backups
  const past = useMemo(
    () =>
      backups === undefined || isFailed(backups)
        ? pastOf([], [])
        : pastOf(backups.snapshot, backups.pitrChunks.pitrChunks ?? []),
    [backups],
  )
  const [chosen, setChosen] = useState<Target | undefined>()
  const target = chosen ?? newestOf(past)
  const moment = target === undefined ? undefined : momentOf(target.at, past)
  const mark =
    target?.backup === undefined ? undefined : past.backups.find((one) => one.snapshot.name === target.backup)
  const restore = () => {
    if (readOnly || moment === undefined) return
    if (mark !== undefined) onRestore({ do: 'restore', backup: mark.snapshot.name })
    else if (moment.canBeRestored) onRestore({ do: 'restore', time: iso(moment.at) })
  }
  return h(Section, {
    id: 'past',
    title: 'What can I go back to?',
    children: [
      h('p', { class: 'lead' }, history === undefined ? 'Reading backups and chunks …' : summary(past, now)),
      h(Timeline, { past, now, chosen: target, onChoose: setChosen, onGo: restore }),
      moment === undefined
        ? null
        : h(Chosen, { moment, mark, readOnly, now, onRestore: restore, onChoose: setChosen, onDetails }),
    ],
  })
}

function Chosen(props: {
  moment: Moment
  mark: Mark | undefined
  readOnly: boolean
  now: number
  onRestore: () => void
  onChoose: (target: Target) => void
  onDetails: (name: string) => void
}): ComponentChild {
  const { moment, mark, readOnly, now, onRestore, onChoose, onDetails } = props
  const canGo = mark !== undefined || moment.canBeRestored
  return h('div', { class: 'chosen-panel' }, [
    h('div', { class: 'field' }, [
      h('label', { for: 'moment-input' }, 'Moment (UTC)'),
      h(MomentInput, { at: moment.at, onChoose }),
    ]),
    h('div', { class: 'chosen-text', role: 'status' }, [
      ...wordsOf(moment, mark, now),
      moment.nearest.length === 0 || mark !== undefined
        ? null
        : h('p', { class: 'nearest' }, [
            'Nearest: ',
            ...moment.nearest.map((target) =>
              h(
                'button',
                { type: 'button', class: 'link', onClick: () => onChoose(target) },
                `${utc(target.at)}${target.backup === undefined ? '' : ' (backup)'}`,
              ),
            ),
          ]),
    ]),
    h('div', { class: 'buttons' }, [
      mark === undefined
        ? null
        : h('button', { type: 'button', onClick: () => onDetails(mark.snapshot.name) }, 'Details'),
      readOnly
        ? null
        : h(
            'button',
            { type: 'button', class: 'primary', disabled: !canGo, onClick: onRestore },
            mark === undefined ? 'Restore this moment …' : 'Restore this backup …',
          ),
    ]),
  ])
}

/** Keeps what is half typed. */
function MomentInput({ at, onChoose }: { at: number; onChoose: (target: Target) => void }): ComponentChild {
  const [text, setText] = useState(iso(at))
  useEffect(() => setText(iso(at)), [at])
  return h('input', {
    ...{ id: 'moment-input', type: 'datetime-local', step: 1, value: text },
    onInput: (event: Event) => {
      const { value } = event.currentTarget as HTMLInputElement
      setText(value)
      const typed = secondsOf(value)
      if (typed !== undefined && typed > 0) onChoose({ at: typed })
    },
  })
}

function wordsOf(moment: Moment, mark: Mark | undefined, now: number): ComponentChild[] {
  if (mark !== undefined)
    return [
      h('p', null, [h('strong', null, 'Backup '), h(Name, { of: mark.snapshot.name }), ` · ${mark.snapshot.type}`]),
      h('p', { class: 'quiet' }, [h(Time, { at: mark.at, now })]),
    ]
  const { at, canBeRestored, lacksBase, before } = moment
  const said = canBeRestored
    ? 'This second can be restored.'
    : lacksBase
      ? 'The oplog of this second is stored, but no backup leads to it.'
      : 'This second can not be restored.'
  return [
    h('p', null, h('strong', null, said)),
    h(
      'p',
      { class: 'quiet' },
      before === undefined
        ? 'There is no backup from before it.'
        : ['Newest backup before it: ', h(Name, { of: before.snapshot.name }), `, ${span(at - before.at)} earlier`],
    ),
  ]
}
