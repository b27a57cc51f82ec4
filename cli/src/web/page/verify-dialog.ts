import { type ComponentChild, h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { RunningSection } from '../../status/running.js'
import { shellLine, type VerifyChoice, wordsOf } from '../action-line.js'
import type { History } from '../protocol.js'
import { useAct } from './act-dialog.js'
import { CommandLine, Dialog, Name, Notes, Problem } from './parts.js'
import { ProgressBar } from './progress-bar.js'
import { isFailed } from './status.js'
import { Damages, Result } from './verifications.js'

/** Has a backup read through, shows how far that is, and what was found. It goes on when the dialog is closed. */
export function VerifyDialog(props: {
  backup: string
  running: RunningSection | undefined
  backups: History['backups'] | undefined
  onClose: () => void
}): ComponentChild {
  const { backup, running, backups, onClose } = props
  const choice: VerifyChoice = { do: 'verify', backup }
  const { isBusy, outcome, act } = useAct()
  const { opid } = (outcome.result ?? {}) as { opid?: string }
  const begin = (event: Event) => {
    event.preventDefault()
    void act(choice)
  }
  return h(Dialog, {
    title: ['Verify backup ', h(Name, { of: backup })],
    onClose,
    children: h('form', { onSubmit: begin }, [
      h('p', null, 'An agent reads all of its objects on the storage, and compares them with what was stored.'),
      h(Notes, { notes: outcome.notes ?? [] }),
      outcome.error === undefined ? null : h(Problem, { report: outcome.error }),
      opid === undefined ? null : h(Course, { opid, backup, running, backups }),
      h(CommandLine, { line: shellLine(wordsOf(choice)) }),
      h('div', { class: 'buttons' }, [
        opid === undefined
          ? h('button', { type: 'submit', class: 'primary', disabled: isBusy }, isBusy ? 'Starting …' : 'Verify')
          : h('button', { type: 'button', onClick: onClose }, 'Close; it goes on by itself'),
      ]),
    ]),
  })
}

/** Of the verification `opid`: how far it is, or what it found. */
function Course(props: {
  opid: string
  backup: string
  running: RunningSection | undefined
  backups: History['backups'] | undefined
}): ComponentChild {
  const { opid, backup, running, backups } = props
  const own = running === undefined ? undefined : [running, ...(running.beside ?? [])].find((one) => one.opID === opid)
  const [hasBegun, setBegun] = useState(false)
  useEffect(() => {
    if (own !== undefined) setBegun(true)
  }, [own === undefined])
  const known =
    backups === undefined || isFailed(backups) ? undefined : backups.snapshot.find(({ name }) => name === backup)
  const verification = known?.verification?.opid === opid ? known.verification : undefined
  if (verification !== undefined)
    return h('div', { class: 'plan', role: 'status' }, [
      h('p', null, h(Result, { verification })),
      verification.result === 'damaged' ? h(Damages, { verification }) : null,
    ])
  if (own !== undefined) return h(ProgressBar, { of: own, label: 'verification' })
  return h(
    'p',
    { class: 'quiet', role: 'status' },
    hasBegun ? 'It has ended. Where no result follows, the log says why.' : 'An agent takes it on …',
  )
}
