import { type ComponentChild, h } from 'preact'
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks'
import type { RestoreChoice } from '../action-line.js'
import type { Visit } from '../protocol.js'
import { ActDialog } from './act-dialog.js'
import { get, post, RequestError } from './api.js'
import { BackupDialog } from './backup-dialog.js'
import { BackupsSection } from './backups.js'
import { ConfigurationSection } from './configuration.js'
import { DetailsDialog } from './details-dialog.js'
import { useLiveState, useNow } from './live-state.js'
import { LogSection } from './log.js'
import { Login } from './login.js'
import { MembersSection } from './members.js'
import { NowSection } from './now.js'
import { Name, Problem } from './parts.js'
import { PastSection } from './past.js'
import { RestoreDialog } from './restore-dialog.js'
import { RestoresSection } from './restores.js'
import { type ScheduleAction, SchedulesSection } from './schedules.js'
import { problemsOf } from './status.js'
import { count, visibleText } from './text.js'
import { VerificationsSection } from './verifications.js'
import { VerifyDialog } from './verify-dialog.js'

/** Who is let in sees the page; others are asked who they are. */
export function App(): ComponentChild {
  const [visit, setVisit] = useState<Visit | 'login' | RequestError | undefined>()
  const enter = useCallback(() => {
    get<Visit>('/api/visit').then(setVisit, (error: unknown) => {
      if (!(error instanceof RequestError)) throw error
      setVisit(error.status === 401 ? 'login' : error)
    })
  }, [])
  useEffect(enter, [enter])
  if (visit === undefined) return h('p', { class: 'notice' }, 'Loading …')
  if (visit === 'login') return h(Login, { onEnter: enter })
  if (visit instanceof RequestError) return h('main', { class: 'login' }, h(Problem, { report: visit.report }))
  return h(Page, { visit, onLeave: () => setVisit('login') })
}

type Opened =
  | { readonly kind: 'backup' }
  | { readonly kind: 'schedule'; readonly action: ScheduleAction; readonly name: string }
  | { readonly kind: 'verify'; readonly backup: string }
  | { readonly kind: 'restore'; readonly choice: RestoreChoice }
  | { readonly kind: 'details'; readonly of: 'backup' | 'restore'; readonly name: string }

function Page({ visit, onLeave }: { visit: Visit; onLeave: () => void }): ComponentChild {
  const { cluster: name, readOnly, user, version } = visit
  const seen = useLiveState()
  const now = useNow()
  const [opened, setOpened] = useState<Opened | undefined>()
  const close = () => setOpened(undefined)
  const { cluster, running, schedules, history, lines, hasEnded } = seen
  const restore = (choice: RestoreChoice) => setOpened({ kind: 'restore', choice })
  const details = (of: 'backup' | 'restore') => (named: string) => setOpened({ kind: 'details', of, name: named })
  useEffect(() => {
    if (hasEnded && user !== undefined) onLeave()
  }, [hasEnded])
  useEffect(() => {
    document.title = running?.type === undefined ? `pbm: ${name}` : `${running.type} … pbm: ${name}`
  }, [running?.type, name])
  // Sections that hear nothing new are not drawn again each second.
  const minute = Math.floor(now / 60) * 60
  const backups = useMemo(
    () =>
      h(BackupsSection, {
        ...{ backups: history?.backups, now: minute, readOnly, onDetails: details('backup') },
        onRestore: (backup) => restore({ do: 'restore', backup }),
      }),
    [history, minute, readOnly],
  )
  const verifications = useMemo(
    () =>
      h(VerificationsSection, {
        ...{ backups: history?.backups, now: minute, readOnly },
        onVerify: (backup) => setOpened({ kind: 'verify', backup }),
      }),
    [history, minute, readOnly],
  )
  const scheduled = useMemo(
    () =>
      h(SchedulesSection, {
        ...{ schedules, now: minute, readOnly },
        onAct: (action, schedule) => setOpened({ kind: 'schedule', action, name: schedule }),
      }),
    [schedules, minute, readOnly],
  )
  const log = useMemo(() => h(LogSection, { lines }), [lines])
  return h('div', null, [
    h('a', { class: 'skip', href: '#past' }, 'To the content'),
    h('header', { class: 'top' }, [
      h('h1', null, [h('span', { class: 'brand' }, 'pbm'), h(Name, { of: name })]),
      h(Health, { problems: problemsOf(seen), isKnown: cluster !== undefined && history !== undefined }),
      h('div', { class: 'who' }, [
        readOnly ? h('span', { class: 'pill' }, 'read-only') : null,
        user === undefined ? null : h(Name, { of: user }),
        user === undefined
          ? null
          : h(
              'button',
              { type: 'button', class: 'small', onClick: () => void post('/api/logout', {}).then(onLeave) },
              'Log out',
            ),
      ]),
    ]),
    h('main', null, [
      h(PastSection, { history, now, readOnly, onRestore: restore, onDetails: details('backup') }),
      h('div', { class: 'pair' }, [
        h(NowSection, { running, now, readOnly, onBackup: () => setOpened({ kind: 'backup' }) }),
        h(MembersSection, { cluster, history, now }),
      ]),
      scheduled,
      backups,
      verifications,
      h(RestoresSection, { restores: history?.restores, now: minute, onDetails: details('restore') }),
      log,
      h(ConfigurationSection, {}),
    ]),
    h('footer', { class: 'quiet' }, `pbmkit ${version} · all times in UTC`),
    opened?.kind === 'backup' ? h(BackupDialog, { onClose: close }) : null,
    opened?.kind === 'schedule'
      ? h(ActDialog, {
          ...SCHEDULE_WORDS[opened.action],
          title: [SCHEDULE_WORDS[opened.action].verb, ': ', h(Name, { of: opened.name })],
          choice: { do: 'schedule', action: opened.action, name: opened.name },
          onClose: close,
        })
      : null,
    opened?.kind === 'verify'
      ? h(VerifyDialog, { backup: opened.backup, running, backups: history?.backups, onClose: close })
      : null,
    opened?.kind === 'restore' ? h(RestoreDialog, { choice: opened.choice, cluster: name, onClose: close }) : null,
    opened?.kind === 'details' ? h(DetailsDialog, { kind: opened.of, name: opened.name, onClose: close }) : null,
  ])
}

const SCHEDULE_WORDS = {
  run: { verb: 'Run now', text: 'What the schedule does is begun now; its next turn stays as it is.' },
  pause: { verb: 'Pause', text: 'Nothing of it is begun until it is resumed. What it has begun goes on.' },
  resume: { verb: 'Resume', text: 'The pause ends. What was due meanwhile is not made up.' },
} as const

/** Whether somebody has to do something. */
function Health({ problems, isKnown }: { problems: readonly string[]; isKnown: boolean }): ComponentChild {
  const word = problems.length > 0 ? count(problems.length, 'problem') : isKnown ? 'All is well' : 'Looking …'
  const heard = h('span', { class: 'unseen', role: 'status' }, word)
  if (problems.length === 0) {
    const shown = h('span', { class: `state ${isKnown ? 'good' : ''}`, 'aria-hidden': true }, word)
    return h('div', { class: 'health' }, [shown, heard])
  }
  return h('div', { class: 'health health-bad' }, [
    h('details', { open: problems.length <= 3 }, [
      h('summary', { class: 'state bad' }, word),
      h(
        'ul',
        null,
        problems.map((problem) => h('li', { key: problem }, visibleText(problem))),
      ),
    ]),
    heard,
  ])
}
