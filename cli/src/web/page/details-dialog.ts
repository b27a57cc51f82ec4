import { type ComponentChild, h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Outcome } from '../protocol.js'
import { get, reportOf } from './api.js'
import { CommandLine, Dialog, Facts, Name, Notes, Problem } from './parts.js'

/** All that is known of a backup or a restore. */
export function DetailsDialog(props: {
  kind: 'backup' | 'restore'
  name: string
  onClose: () => void
}): ComponentChild {
  const { kind, name, onClose } = props
  const [path, setPath] = useState(`/api/${kind}`)
  const [outcome, setOutcome] = useState<Partial<Outcome<object>> | undefined>()
  useEffect(() => {
    let isCurrent = true
    setOutcome(undefined)
    const told = get<Outcome<object>>(path, { name }).catch(
      (error): Partial<Outcome<object>> => ({ error: reportOf(error) }),
    )
    void told.then((found) => {
      if (isCurrent) setOutcome(found)
    })
    return () => {
      isCurrent = false
    }
  }, [path, name])
  const { result, error, line, notes = [] } = outcome ?? {}
  return h(Dialog, {
    title: [kind === 'backup' ? 'Backup ' : 'Restore ', h(Name, { of: name })],
    onClose,
    children: [
      outcome === undefined ? h('p', { class: 'quiet', role: 'status' }, 'Reading …') : null,
      error === undefined ? null : h(Problem, { report: error }),
      h(Notes, { notes }),
      result === undefined ? null : h(Facts, { of: result }),
      kind === 'backup' && path === '/api/backup' && result !== undefined
        ? h(
            'button',
            { type: 'button', onClick: () => setPath('/api/collections') },
            'Read its collections from the storage',
          )
        : null,
      line === undefined ? null : h(CommandLine, { line }),
    ],
  })
}
