import { type ComponentChild, h } from 'preact'
import { prettySize } from '../../output/bytes.js'
import type { RunningSection } from '../../status/running.js'
import { Name } from './parts.js'
import { span } from './text.js'

/** How far an operation is: as a bar, in figures, and for who only hears it. */
export function ProgressBar({ of, label }: { of: RunningSection; label: string }): ComponentChild {
  const { status, nodes = [], progress } = of
  const counted =
    progress === undefined
      ? [0, 0]
      : progress.totalBytes > 0
        ? [progress.bytes, progress.totalBytes]
        : [progress.documents, progress.totalDocuments]
  const [moved = 0, all = 0] = counted
  const percent = all > 0 ? Math.min(100, Math.floor((moved / all) * 100)) : undefined
  return h('div', null, [
    h('progress', {
      ...{ 'aria-label': `Progress of the ${label}`, max: 100 },
      ...(percent === undefined ? {} : { value: percent }),
    }),
    h('p', { class: 'quiet' }, [
      percent === undefined ? 'under way' : `${percent} %`,
      ...(progress === undefined ? [] : figures(progress)).map((figure) => ` · ${figure}`),
      ` · on `,
      h(Name, { of: nodes.join(', ') }),
    ]),
    // Every tenth is told to who only hears it.
    h(
      'p',
      { class: 'unseen', role: 'status' },
      `${label} ${status ?? ''} ${percent === undefined ? '' : `${Math.floor(percent / 10) * 10} percent`}`,
    ),
  ])
}

function figures(progress: NonNullable<RunningSection['progress']>): string[] {
  const { phase, bytes, totalBytes, bytesPerSecond, secondsLeft } = progress
  return [
    phase,
    ...(bytes > 0 ? [`${prettySize(bytes)} of ${prettySize(totalBytes)}`] : []),
    ...(bytesPerSecond > 0 ? [`${prettySize(bytesPerSecond)}/s`] : []),
    ...(secondsLeft === undefined ? [] : [`${span(secondsLeft)} left`]),
  ]
}
