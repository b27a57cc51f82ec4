import { type ComponentChild, h } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import type { Snapshot } from '../../snapshots.js'
import type { History } from '../protocol.js'
import { Name, RowButton, Section, Time } from './parts.js'
import { isFailed } from './status.js'
import { count, visibleText } from './text.js'

type Verified = NonNullable<Snapshot['verification']>

const STEP = 6

/** Which backups were read through, when, and what was found. */
export function VerificationsSection(props: {
  backups: History['backups'] | undefined
  now: number
  readOnly: boolean
  onVerify: (name: string) => void
}): ComponentChild | null {
  const { backups, now, readOnly, onVerify } = props
  const [shown, setShown] = useState(STEP)
  const all = useMemo(() => (backups === undefined || isFailed(backups) ? [] : verifiable(backups.snapshot)), [backups])
  if (all.length === 0) return null
  const verified = all.filter(({ verification }) => verification !== undefined).length
  return h(Section, {
    id: 'verifications',
    title: 'Verification',
    aside: h(
      'span',
      { class: 'quiet' },
      `${verified.toLocaleString('en-US')} of ${count(all.length, 'backup')} verified`,
    ),
    children: [
      h(
        'div',
        { class: 'scroll' },
        h('table', { class: 'stacked' }, [
          h('caption', { class: 'unseen' }, 'Verification of backups: what is damaged first, then the newest'),
          h(
            'thead',
            null,
            h('tr', null, [
              ...['Backup', 'Verified', 'Result', 'Damage'].map((head) => h('th', { scope: 'col' }, head)),
              h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Actions')),
            ]),
          ),
          h(
            'tbody',
            null,
            all
              .slice(0, shown)
              .map(({ name, verification }) =>
                h('tr', { key: name }, [
                  h('th', { scope: 'row' }, h(Name, { of: name })),
                  h('td', null, verification === undefined ? 'never' : h(Time, { at: Number(verification.at), now })),
                  h('td', null, verification === undefined ? '–' : h(Result, { verification })),
                  h('td', null, verification === undefined ? '–' : h(Damages, { verification })),
                  h(
                    'td',
                    { class: 'row-buttons' },
                    readOnly ? null : h(RowButton, { text: 'Verify …', of: name, onClick: () => onVerify(name) }),
                  ),
                ]),
              ),
          ),
        ]),
      ),
      all.length > shown
        ? h(
            'button',
            { type: 'button', onClick: () => setShown(shown + 10 * STEP) },
            `Show more (${all.length - shown})`,
          )
        : null,
    ],
  })
}

function verifiable(snapshots: readonly Snapshot[]): Snapshot[] {
  const done = snapshots.filter(({ printStatus }) => printStatus === 'success')
  const isBad = ({ verification }: Snapshot) => verification !== undefined && verification.result !== 'good'
  return [...done.filter(isBad), ...done.filter((snapshot) => !isBad(snapshot))]
}

export function Result({ verification: { result, readData } }: { verification: Verified }): ComponentChild {
  const read = Number(readData) < 100 ? ` (${Number(readData)} % read)` : ''
  if (result === 'good') return h('span', { class: 'state good' }, `all is right${read}`)
  if (result === 'damaged') return h('span', { class: 'state bad' }, `damaged${read}`)
  return h('span', { class: 'state caution' }, `could not be read as a whole${read}`)
}

const RESTORABLE = { all: 'all of it', part: 'a part of it', none: 'nothing of it' } as const

/** What is damaged, as far as the record of the backup has it. */
export function Damages({ verification }: { verification: Verified }): ComponentChild {
  const { result, damages, restorable } = verification
  if (result !== 'damaged') return '–'
  // A record may be odd.
  const known = Array.isArray(damages) ? (damages as Verified['damages']) : []
  const lines = known.map(({ what, ns }) => `${what}${ns === undefined ? '' : `; it has ${ns}`}`)
  return h('div', null, [
    h('div', null, `Can be restored: ${RESTORABLE[restorable] ?? 'unknown'}`),
    h('details', { open: lines.length <= 3 }, [
      h('summary', null, count(lines.length, 'damage')),
      h(
        'ul',
        { class: 'happens' },
        lines.map((line) => h('li', null, visibleText(line))),
      ),
    ]),
  ])
}
