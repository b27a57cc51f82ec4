import { type ComponentChild, h } from 'preact'
import type { ShownRun, ShownSchedule } from '../../schedules.js'
import { Name, RowButton, Section, Time } from './parts.js'
import { span, visibleText } from './text.js'

export type ScheduleAction = 'run' | 'pause' | 'resume'

/** What the agents do by themselves: when next, and how it went last. */
export function SchedulesSection(props: {
  schedules: readonly ShownSchedule[] | undefined
  now: number
  readOnly: boolean
  onAct: (action: ScheduleAction, name: string) => void
}): ComponentChild {
  const { schedules, now, readOnly, onAct } = props
  const body =
    schedules === undefined
      ? h('p', { class: 'quiet' }, 'Reading …')
      : schedules.length === 0
        ? h('p', { class: 'quiet' }, ['None. This adds one: ', h('code', null, ADD)])
        : h(
            'div',
            { class: 'scroll' },
            h('table', { class: 'stacked' }, [
              h('caption', { class: 'unseen' }, 'Schedules'),
              h(
                'thead',
                null,
                h('tr', null, [
                  ...['Schedule', 'Does', 'When', 'Next', 'Last'].map((head) => h('th', { scope: 'col' }, head)),
                  h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Actions')),
                ]),
              ),
              h(
                'tbody',
                null,
                schedules.map((schedule) => h(Row, { key: schedule.name, schedule, now, readOnly, onAct })),
              ),
            ]),
          )
  return h(Section, { id: 'schedules', title: 'Schedules', children: body })
}

const ADD = 'pbm schedule add nightly --cron "30 2 * * *"'

function Row(props: {
  schedule: ShownSchedule
  now: number
  readOnly: boolean
  onAct: (action: ScheduleAction, name: string) => void
}): ComponentChild {
  const { schedule, now, readOnly, onAct } = props
  const { name, cron, timezone = 'UTC', do: kind, enabled, running, last } = schedule
  const isPaused = enabled === false
  const button = (text: string, action: ScheduleAction) =>
    h(RowButton, { text, of: name, onClick: () => onAct(action, name) })
  return h('tr', null, [
    h('th', { scope: 'row' }, h(Name, { of: name })),
    h('td', null, h(Name, { of: kind })),
    h('td', null, [h('code', null, visibleText(cron)), ' ', h('span', { class: 'quiet' }, h(Name, { of: timezone }))]),
    h('td', null, next(schedule, now)),
    h('td', null, running === undefined && last === undefined ? '–' : [run(running, now), run(last, now)]),
    h(
      'td',
      { class: 'row-buttons' },
      readOnly
        ? null
        : [button('Run now …', 'run'), isPaused ? button('Resume …', 'resume') : button('Pause …', 'pause')],
    ),
  ])
}

function next({ enabled, next: due }: ShownSchedule, now: number): ComponentChild {
  if (enabled === false) return h('span', { class: 'state caution' }, 'paused')
  if (due === undefined) return 'never'
  const at = secondsOf(due)
  return h('span', { class: 'when' }, [h(Time, { at }), ' ', h('span', { class: 'quiet' }, `in ${span(at - now)}`)])
}

const COLOURS: Readonly<Record<string, string>> = { done: 'good', failed: 'bad' }

function run(of: ShownRun | undefined, now: number): ComponentChild | null {
  if (of === undefined) return null
  const { due, status, why } = of
  return h('div', null, [
    h('span', { class: `state ${COLOURS[status] ?? 'caution'}` }, visibleText(status)),
    ' ',
    h(Time, { at: secondsOf(due), now }),
    why === undefined ? null : h('div', { class: 'quiet' }, visibleText(why)),
  ])
}

function secondsOf(rfc3339: string): number {
  return Math.floor(Date.parse(rfc3339) / 1000)
}
