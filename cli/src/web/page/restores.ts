import { type ComponentChild, h } from 'preact'
import { useState } from 'preact/hooks'
import type { RestoreEntry } from '../../commands/list.js'
import { Name, RowButton, Section, Time } from './parts.js'
import { utc, visibleText } from './text.js'

const STEP = 5

/** What was restored, newest first. */
export function RestoresSection(props: {
  restores: readonly RestoreEntry[] | undefined
  now: number
  onDetails: (name: string) => void
}): ComponentChild | null {
  const { restores = [], now, onDetails } = props
  const [shown, setShown] = useState(STEP)
  if (restores.length === 0) return null
  const newest = restores.toReversed()
  return h(Section, {
    id: 'restores',
    title: 'Restores',
    children: [
      h(
        'div',
        { class: 'scroll' },
        h('table', { class: 'stacked' }, [
          h('caption', { class: 'unseen' }, 'Restores, newest first'),
          h(
            'thead',
            null,
            h('tr', null, [
              ...['Started', 'What', 'To', 'Outcome'].map((head) => h('th', { scope: 'col' }, head)),
              h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Actions')),
            ]),
          ),
          h(
            'tbody',
            null,
            newest
              .slice(0, shown)
              .map((restore) =>
                h('tr', { key: restore.name }, [
                  h('th', { scope: 'row' }, h(Time, { at: restore.start, now })),
                  h('td', null, h(Name, { of: restore.part ?? 'all' })),
                  h('td', null, h(Name, { of: target(restore) })),
                  h('td', null, outcome(restore)),
                  h(
                    'td',
                    { class: 'row-buttons' },
                    h(RowButton, { text: 'Details', of: restore.name, onClick: () => onDetails(restore.name) }),
                  ),
                ]),
              ),
          ),
        ]),
      ),
      newest.length > shown
        ? h(
            'button',
            { type: 'button', onClick: () => setShown(shown + 10 * STEP) },
            `Show more (${newest.length - shown} older)`,
          )
        : null,
    ],
  })
}

function target(restore: RestoreEntry): string {
  const time = restore['point-in-time']
  return time === undefined ? `backup ${restore.snapshot ?? ''}` : `${utc(time)} UTC`
}

function outcome({ status, error }: RestoreEntry): ComponentChild {
  if (status === 'done') return h('span', { class: 'state good' }, 'done')
  if (error === undefined) return h('span', { class: 'state caution' }, visibleText(status))
  return h('span', { class: 'state bad clip', title: visibleText(error) }, visibleText(error))
}
