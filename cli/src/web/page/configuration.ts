import { type ComponentChild, h } from 'preact'
import { useState } from 'preact/hooks'
import type { Outcome } from '../protocol.js'
import { get, reportOf } from './api.js'
import { CommandLine, Problem, Section } from './parts.js'
import { visibleText } from './text.js'

/** The configuration as `pbm config` shows it, secrets masked; read when it is opened. */
export function ConfigurationSection(): ComponentChild {
  const [outcome, setOutcome] = useState<Partial<Outcome<string>>>({})
  const look = async (event: Event) => {
    if (!(event.currentTarget as HTMLDetailsElement).open) return
    setOutcome(await get<Outcome<string>>('/api/config').catch((error) => ({ error: reportOf(error) })))
  }
  const { line, result, error } = outcome
  return h(Section, {
    id: 'configuration',
    title: 'Configuration',
    children: h('details', { onToggle: look }, [
      h('summary', null, 'Show it, with secrets masked'),
      error === undefined ? null : h(Problem, { report: error }),
      result === undefined ? null : h('pre', { tabIndex: 0, 'aria-label': 'Configuration' }, visibleText(result)),
      line === undefined ? null : h(CommandLine, { line }),
    ]),
  })
}
