import { type ComponentChild, h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { RunningSection } from '../../status/running.js'
import type { CancelChoice } from '../action-line.js'
import type { Outcome } from '../protocol.js'
import { post, reportOf } from './api.js'
import { Name, Problem, Section } from './parts.js'
import { ProgressBar } from './progress-bar.js'
import { span } from './text.js'

export interface NowProps {
  readonly running: RunningSection | undefined
  readonly now: number
  readonly readOnly: boolean
  readonly onBackup: () => void
}

/** Where the word of the command is none for people. */
const WORDS: Readonly<Record<string, string>> = {
  planRestore: 'look at what a restore would do',
  deletePitr: 'deletion of chunks',
  resync: 'reading of the storage',
  delete: 'deletion of a backup',
}

/** What runs, and what can be begun. */
export function NowSection({ running, now, readOnly, onBackup }: NowProps): ComponentChild {
  const isIdle = running !== undefined && running.type === undefined
  return h(Section, {
    id: 'now',
    title: 'Now',
    aside: readOnly
      ? undefined
      : h('button', { type: 'button', class: 'primary', disabled: !isIdle, onClick: onBackup }, 'Back up now …'),
    children:
      running === undefined
        ? h('p', { class: 'quiet' }, 'Reading …')
        : isIdle
          ? h('p', { class: 'quiet' }, 'Nothing runs.')
          : [running, ...(running.beside ?? [])].map((one) =>
              h(Operation, { key: one.opID ?? '', running: one, now, readOnly }),
            ),
  })
}

function Operation({ running, now, readOnly }: Omit<NowProps, 'onBackup' | 'running'> & { running: RunningSection }) {
  const type = WORDS[running.type ?? ''] ?? running.type ?? ''
  const { name, status, startTS, part, stale } = running
  return h('div', { class: 'operation' }, [
    h('p', { class: 'operation-head' }, [
      h('strong', null, type),
      ' ',
      name === undefined ? null : h(Name, { of: name }),
      status === undefined ? null : h('span', { class: 'pill' }, status),
      startTS === undefined ? null : h('span', { class: 'quiet' }, `for ${span(now - startTS)}`),
    ]),
    part === undefined ? null : h('p', null, ['Restores ', h(Name, { of: part })]),
    h(ProgressBar, { of: running, label: type }),
    stale === true ? h('p', { class: 'problem' }, 'Its agents are dead. A live agent marks it as failed.') : null,
    type === 'backup' && !readOnly ? h(Cancel, { key: name }) : null,
  ])
}

/** In two steps; the second shows the command line. */
function Cancel(): ComponentChild {
  const [state, setState] = useState<'idle' | 'asked' | 'busy'>('idle')
  const [outcome, setOutcome] = useState<Partial<Outcome>>({})
  useEffect(() => () => setState('idle'), [])
  const cancel = async () => {
    setState('busy')
    const choice: CancelChoice = { do: 'cancel' }
    setOutcome(await post<Outcome>('/api/act', choice).catch((error) => ({ error: reportOf(error) })))
    setState('idle')
  }
  const { error } = outcome
  return h('div', { class: 'buttons' }, [
    error === undefined ? null : h(Problem, { report: error }),
    state === 'idle'
      ? h('button', { type: 'button', onClick: () => setState('asked') }, 'Cancel backup')
      : h('span', { class: 'confirm' }, [
          h('code', null, 'pbm cancel-backup'),
          h(
            'button',
            { type: 'button', class: 'danger', disabled: state === 'busy', onClick: cancel },
            state === 'busy' ? 'Canceling …' : 'Cancel it',
          ),
          h('button', { type: 'button', disabled: state === 'busy', onClick: () => setState('idle') }, 'Let it run'),
        ]),
  ])
}
