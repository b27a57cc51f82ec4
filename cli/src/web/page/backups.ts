import { type ComponentChild, h } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { prettySize } from '../../output/bytes.js'
import type { Snapshot } from '../../snapshots.js'
import type { History } from '../protocol.js'
import { Name, Problem, RowButton, Section, Time } from './parts.js'
import { isFailed } from './status.js'
import { count, visibleText } from './text.js'

/** More are shown when they are asked for. */
const STEP = 12

const STATES = { all: 'all', success: 'done', failed: 'failed', ongoing: 'running' } as const

export interface BackupsProps {
  readonly backups: History['backups'] | undefined
  readonly now: number
  readonly readOnly: boolean
  readonly onDetails: (name: string) => void
  readonly onRestore: (name: string) => void
}

/** Every backup, newest first. */
export function BackupsSection({ backups, now, readOnly, onDetails, onRestore }: BackupsProps): ComponentChild {
  const [text, setText] = useState('')
  const [state, setState] = useState<keyof typeof STATES>('all')
  const [shown, setShown] = useState(STEP)
  const all = backups === undefined || isFailed(backups) ? [] : backups.snapshot
  const found = useMemo(() => all.filter((snapshot) => matches(snapshot, text, state)), [all, text, state])
  const title = 'Backups'
  if (backups !== undefined && isFailed(backups))
    return h(Section, {
      id: 'backups',
      title,
      children: h(Problem, { report: { Error: backups.error, code: backups.code } }),
    })
  const place =
    backups === undefined
      ? ''
      : `${backups.type} ${backups.path}${backups.region === undefined ? '' : ` (${backups.region})`}`
  return h(Section, {
    id: 'backups',
    title,
    aside: h('span', { class: 'quiet' }, h(Name, { of: place })),
    children: [
      h('div', { class: 'filters' }, [
        h('div', { class: 'field' }, [
          h('label', { for: 'backups-text' }, 'Name, type or namespace'),
          h('input', {
            ...{ id: 'backups-text', type: 'search', value: text },
            onInput: (event: Event) => setText((event.currentTarget as HTMLInputElement).value),
          }),
        ]),
        h('div', { class: 'field' }, [
          h('label', { for: 'backups-state' }, 'State'),
          h(
            'select',
            {
              ...{ id: 'backups-state', value: state },
              onChange: (event: Event) =>
                setState((event.currentTarget as HTMLSelectElement).value as keyof typeof STATES),
            },
            Object.entries(STATES).map(([value, word]) => h('option', { value }, word)),
          ),
        ]),
        h('span', { class: 'quiet', role: 'status' }, count(found.length, 'backup')),
      ]),
      h(
        'div',
        { class: 'scroll' },
        h('table', { class: 'stacked' }, [
          h('caption', { class: 'unseen' }, 'Backups, newest first'),
          h(
            'thead',
            null,
            h('tr', null, [
              ...['Backup', 'Type', 'Size', 'State', 'Restores to'].map((head) => h('th', { scope: 'col' }, head)),
              h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Actions')),
            ]),
          ),
          h(
            'tbody',
            null,
            found
              .slice(0, shown)
              .map((snapshot) =>
                h('tr', { key: snapshot.name }, [
                  h('th', { scope: 'row' }, [h(Name, { of: snapshot.name }), what(snapshot)]),
                  h('td', null, h(Name, { of: snapshot.type })),
                  h('td', { class: 'number' }, snapshot.size === undefined ? '–' : prettySize(snapshot.size)),
                  h('td', null, stateOf(snapshot)),
                  h(
                    'td',
                    null,
                    snapshot.printStatus === 'success' && snapshot.restoreTo > 1
                      ? h(Time, { at: snapshot.restoreTo, now })
                      : '–',
                  ),
                  h('td', { class: 'row-buttons' }, [
                    h(RowButton, { text: 'Details', of: snapshot.name, onClick: () => onDetails(snapshot.name) }),
                    readOnly || snapshot.printStatus !== 'success'
                      ? null
                      : h(RowButton, { text: 'Restore …', of: snapshot.name, onClick: () => onRestore(snapshot.name) }),
                  ]),
                ]),
              ),
          ),
        ]),
      ),
      found.length > shown
        ? h(
            'button',
            { type: 'button', onClick: () => setShown(shown + 5 * STEP) },
            `Show more (${found.length - shown} older)`,
          )
        : null,
      backups !== undefined && all.length === 0 ? h('p', { class: 'quiet' }, 'No backups yet.') : null,
    ],
  })
}

function what({ nss = [], profile, encryption }: Snapshot): ComponentChild | null {
  const words = [
    ...(nss.length > 0 && !nss.includes('*.*') ? [nss.join(', ')] : []),
    ...(profile === undefined ? [] : [`profile ${profile}`]),
    ...(encryption === undefined ? [] : [encryption === 'no' ? 'not sealed' : `sealed: ${encryption}`]),
  ]
  return words.length === 0 ? null : h('div', { class: 'quiet' }, h(Name, { of: words.join(' · ') }))
}

function stateOf({ printStatus, status, error }: Snapshot): ComponentChild {
  if (printStatus === 'success') return h('span', { class: 'state good' }, 'done')
  if (printStatus === 'ongoing') return h('span', { class: 'state caution' }, visibleText(status))
  if (status === 'canceled') return h('span', { class: 'state' }, 'canceled')
  return h('span', { class: 'state bad clip', title: visibleText(error ?? '') }, visibleText(error ?? 'failed'))
}

function matches(snapshot: Snapshot, text: string, state: keyof typeof STATES): boolean {
  if (state !== 'all' && snapshot.printStatus !== state) return false
  if (text === '') return true
  const { name, type, profile = '', nss = [], error = '' } = snapshot
  return [name, type, profile, error, ...nss].some((part) => part.toLowerCase().includes(text.toLowerCase()))
}
