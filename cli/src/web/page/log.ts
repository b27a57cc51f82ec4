import { type ComponentChild, h } from 'preact'
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { LogLine, Outcome } from '../protocol.js'
import { get, reportOf } from './api.js'
import { CommandLine, Problem, Section } from './parts.js'
import { utc, visible, visibleText } from './text.js'

const SEVERITIES = ['F', 'E', 'W', 'I', 'D'] as const
const WORDS = ['fatal', 'error', 'warning', 'info', 'debug'] as const
/** Of what was found, in the page. */
const SHOWN = 300

/** What the agents log, as it comes. */
export function LogSection({ lines }: { lines: readonly LogLine[] }): ComponentChild {
  const [severity, setSeverity] = useState(3)
  const [text, setText] = useState('')
  const [isFollowing, setFollowing] = useState(true)
  const [older, setOlder] = useState<Partial<Outcome<LogLine[]>>>({})
  const box = useRef<HTMLDivElement>(null)
  const found = useMemo(
    () => (older.result ?? lines).filter((line) => line.s <= severity && holds(line, text)).slice(-SHOWN),
    [older, lines, severity, text],
  )
  useLayoutEffect(() => {
    if (isFollowing && box.current !== null) box.current.scrollTop = box.current.scrollHeight
  }, [found, isFollowing])
  const look = async () => {
    const query = { severity: SEVERITIES[severity] ?? 'I' }
    setOlder(await get<Outcome<LogLine[]>>('/api/log', query).catch((error) => ({ error: reportOf(error) })))
  }
  return h(Section, {
    id: 'log',
    title: 'Log',
    children: [
      h('div', { class: 'filters' }, [
        h('div', { class: 'field' }, [
          h('label', { for: 'log-text' }, 'Text, event or member'),
          h('input', {
            ...{ id: 'log-text', type: 'search', value: text },
            onInput: (event: Event) => setText((event.currentTarget as HTMLInputElement).value),
          }),
        ]),
        h('div', { class: 'field' }, [
          h('label', { for: 'log-severity' }, 'This and worse'),
          h(
            'select',
            {
              ...{ id: 'log-severity', value: severity },
              onChange: (event: Event) => setSeverity(Number((event.currentTarget as HTMLSelectElement).value)),
            },
            WORDS.map((word, index) => h('option', { value: index }, word)),
          ),
        ]),
        h('label', { class: 'check' }, [
          h('input', {
            ...{ type: 'checkbox', checked: isFollowing },
            onChange: (event: Event) => setFollowing((event.currentTarget as HTMLInputElement).checked),
          }),
          'follow',
        ]),
        older.result === undefined
          ? h('button', { type: 'button', class: 'small', onClick: look }, 'Look further back')
          : h('button', { type: 'button', class: 'small', onClick: () => setOlder({}) }, 'Back to what comes'),
      ]),
      older.error === undefined ? null : h(Problem, { report: older.error }),
      older.line === undefined ? null : h(CommandLine, { line: older.line }),
      h(
        'div',
        { class: 'log', ref: box, role: 'log', 'aria-live': 'off', 'aria-label': 'Log of the agents', tabIndex: 0 },
        h(
          'ol',
          null,
          found.map((line) =>
            h('li', { class: `severity-${line.s}` }, [
              h('time', null, utc(line.ts)),
              h('span', { class: 'severity', title: WORDS[line.s] }, SEVERITIES[line.s]),
              h('bdi', { class: 'origin' }, visible([`${line.rs}/${line.node}`, ...eventOf(line)].join(' '))),
              h('span', { class: 'message' }, visibleText(line.msg)),
            ]),
          ),
        ),
      ),
      found.length === 0 ? h('p', { class: 'quiet' }, 'No lines.') : null,
    ],
  })
}

function eventOf({ e, eobj }: LogLine): string[] {
  if (e === '') return []
  return [eobj === '' ? e : `${e}/${eobj}`]
}

function holds(line: LogLine, text: string): boolean {
  if (text === '') return true
  const { msg, e, eobj, rs, node, opid = '' } = line
  return [msg, e, eobj, `${rs}/${node}`, opid].some((part) => part.toLowerCase().includes(text.toLowerCase()))
}
