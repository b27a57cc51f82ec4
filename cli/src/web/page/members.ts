import { type ComponentChild, h } from 'preact'
import type { ClusterSection, NodeEntry } from '../../status/cluster.js'
import type { History } from '../protocol.js'
import { Name, Section, Time } from './parts.js'
import { isFailed, membersText } from './status.js'
import { count, span, utc, visibleText } from './text.js'

const ROLES: Readonly<Record<string, string>> = {
  P: 'primary',
  S: 'secondary',
  H: 'hidden',
  D: 'delayed',
  A: 'arbiter',
}

/** Members and agents, and how far the oplog is stored. */
export function MembersSection(props: {
  cluster: readonly ClusterSection[] | undefined
  history: History | undefined
  now: number
}): ComponentChild {
  const { cluster, history, now } = props
  return h(Section, {
    id: 'members',
    title: 'Members and agents',
    aside: cluster === undefined ? undefined : h('span', { class: 'quiet' }, membersText(cluster)),
    children: [
      ...(cluster ?? []).map((replset) => h(Replset, { key: replset.rs, replset })),
      cluster === undefined ? h('p', { class: 'quiet' }, 'Reading …') : null,
      history === undefined ? null : h(Slicing, { pitr: history.pitr, now }),
    ],
  })
}

function Replset({ replset: { rs, nodes, error, pbmAgents } }: { replset: ClusterSection }): ComponentChild {
  return h('div', { class: 'scroll' }, [
    error === undefined ? null : h('p', { class: 'problem' }, visibleText(error)),
    pbmAgents === undefined ? null : h('p', { class: 'notes' }, visibleText(pbmAgents)),
    h('table', { class: 'stacked' }, [
      h('caption', null, [h('span', { class: 'quiet' }, 'Replica set '), h(Name, { of: rs })]),
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          ['Member', 'Role', 'Agent', 'State'].map((head) => h('th', { scope: 'col' }, head)),
        ),
      ),
      h(
        'tbody',
        null,
        nodes.map((node) =>
          h('tr', { key: node.host }, [
            h('th', { scope: 'row' }, h(Name, { of: node.host })),
            h('td', null, ROLES[node.role] ?? h(Name, { of: node.role })),
            h('td', null, agent(node)),
            h('td', null, state(node)),
          ]),
        ),
      ),
    ]),
  ])
}

function agent({ agent: version, pbmkit, prio_backup }: NodeEntry): ComponentChild | string {
  if (version === '') return '–'
  const shown = pbmkit === undefined ? `PBM ${version}` : `pbmkit ${pbmkit}`
  return h('span', { title: `speaks as PBM ${version}; priority for backups ${prio_backup}` }, shown)
}

function state({ ok, errors = [], restoreRights }: NodeEntry): ComponentChild {
  if (ok && restoreRights === undefined) return h('span', { class: 'state good' }, 'well')
  if (ok) return h('span', { class: 'state caution', title: visibleText(restoreRights ?? '') }, 'backs up only')
  return h('span', { class: 'state bad' }, visibleText(errors.join('; ') || 'not well'))
}

function Slicing({ pitr, now }: { pitr: History['pitr']; now: number }): ComponentChild {
  if (isFailed(pitr)) return h('p', { class: 'problem' }, visibleText(pitr.error))
  const { conf, run, nodes, stored = [], gaps = [] } = pitr
  return h('div', { class: 'slicing' }, [
    h('p', null, [
      h('strong', null, 'Point-in-time recovery '),
      h(
        'span',
        { class: `state ${conf && run ? 'good' : conf ? 'caution' : ''}` },
        conf ? (run ? 'on' : 'on, nobody stores yet') : 'off',
      ),
      nodes.length === 0 ? null : h('span', { class: 'quiet' }, [' stored by ', h(Name, { of: nodes.join(', ') })]),
    ]),
    ...stored.map(({ rs, until }) =>
      h('p', { class: 'quiet', key: rs }, [
        h(Name, { of: rs }),
        until === undefined ? ': nothing stored yet' : `: stored up to ${utc(until)}, ${span(now - until)} behind`,
      ]),
    ),
    gaps.length === 0
      ? null
      : h('details', null, [
          h('summary', null, `${count(gaps.length, 'gap')}, in which no second can be restored`),
          h(
            'ul',
            null,
            gaps
              .slice(0, 100)
              .map(({ rs, start, end }) =>
                h('li', null, [h(Name, { of: rs }), ': ', h(Time, { at: start }), ' to ', h(Time, { at: end })]),
              ),
          ),
        ]),
  ])
}
