import type { RestorePlan } from '@pbmkit/core'
import { type ComponentChild, h } from 'preact'
import { prettySize } from '../../output/bytes.js'
import type { Outcome } from '../protocol.js'
import { Name, Notes, Problem } from './parts.js'
import { count, utc } from './text.js'

/** What `pbm restore --dry-run` tells. */
export interface Plan extends RestorePlan {
  readonly snapshot: string
}

const SHOWN = 100

/** From which backup and chunks, what is restored, and what is dropped first. */
export function PlanView({ plan }: { plan: Partial<Outcome<Plan>> | undefined }): ComponentChild {
  if (plan === undefined)
    return h('p', { class: 'quiet busy', role: 'status' }, 'An agent looks what exactly that would do …')
  const { result, error, notes = [] } = plan
  if (result === undefined)
    return h('div', null, [h(Notes, { notes }), error === undefined ? null : h(Problem, { report: error })])
  const { totals, dropped, namespaces, oplog, objects, gainedRoles, snapshot } = result
  const chunks = oplog.filter(({ kind }) => kind === 'chunk')
  const bytes = [...objects, ...oplog].reduce((sum, object) => sum + object.bytes, 0)
  const [first, last] = [chunks[0], chunks.at(-1)]
  return h('div', { class: 'plan' }, [
    h('p', null, [
      'From backup ',
      h(Name, { of: snapshot }),
      first === undefined || last === undefined
        ? ', without chunks'
        : ` and ${count(chunks.length, 'chunk')} of the oplog, ${utc(first.start)} to ${utc(last.end)}`,
      `. ${prettySize(bytes)} are read from the storage.`,
    ]),
    ...gainedRoles.map(({ user, roles }) =>
      h('p', { class: 'problem' }, [
        h(Name, { of: user }),
        ' becomes an administrator: ',
        h(Name, { of: roles.join(', ') }),
      ]),
    ),
    h(List, { title: 'Dropped first', items: dropped, total: totals.dropped }),
    h(List, { title: 'Restored', items: namespaces, total: totals.restored }),
    h(
      'p',
      { class: 'quiet' },
      `${count(totals.staying, 'other collection or view', 'other collections and views')} stay as they are.`,
    ),
    h(Notes, { notes: [...new Set(notes)] }),
  ])
}

interface Item {
  readonly ns: string
  readonly type: string
  readonly documents: number
  readonly bytes: number
}

function List(props: {
  title: string
  items: readonly Item[]
  total: RestorePlan['totals']['restored']
}): ComponentChild {
  const { title, items, total } = props
  const counted = `${count(total.namespaces, 'namespace')}, ${count(total.documents, 'document')}, ${prettySize(total.bytes)}`
  if (items.length === 0) return h('p', null, `${title}: nothing`)
  return h('details', { open: items.length <= 12 }, [
    h('summary', null, `${title}: ${counted}`),
    h(
      'div',
      { class: 'scroll' },
      h('table', null, [
        h('caption', { class: 'unseen' }, title),
        h(
          'thead',
          null,
          h(
            'tr',
            null,
            ['Namespace', 'Type', 'Documents', 'Size'].map((head) => h('th', { scope: 'col' }, head)),
          ),
        ),
        h(
          'tbody',
          null,
          items
            .slice(0, SHOWN)
            .map(({ ns, type, documents, bytes }) =>
              h('tr', { key: ns }, [
                h('th', { scope: 'row' }, h(Name, { of: ns })),
                h('td', null, h(Name, { of: type })),
                h('td', { class: 'number' }, documents.toLocaleString('en-US')),
                h('td', { class: 'number' }, prettySize(bytes)),
              ]),
            ),
        ),
      ]),
    ),
    items.length > SHOWN ? h('p', { class: 'quiet' }, `and ${items.length - SHOWN} more`) : null,
  ])
}
