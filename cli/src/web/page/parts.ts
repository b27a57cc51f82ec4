import { type ComponentChild, type ComponentChildren, h } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import type { ErrorReport } from '../../errors.js'
import { ago, utc, visible, visibleText } from './text.js'

/** A name, whatever is in it: as text, in its own direction. */
export function Name({ of }: { of: string }): ComponentChild {
  return h('bdi', { class: 'name' }, visible(of))
}

/** A moment in UTC, and how long ago that was. */
export function Time({ at, now }: { at: number; now?: number }): ComponentChild {
  const shown = h('time', { dateTime: `${utc(at).replace(' ', 'T')}Z`, title: `${utc(at)} UTC` }, utc(at))
  return now === undefined
    ? shown
    : h('span', { class: 'when' }, [shown, ' ', h('span', { class: 'quiet' }, ago(at, now))])
}

/** A part of the page, with its heading. */
export function Section(props: {
  id: string
  title: string
  aside?: ComponentChildren
  children: ComponentChildren
}): ComponentChild {
  return h('section', { id: props.id, class: 'card', 'aria-labelledby': `${props.id}-title` }, [
    h('header', { class: 'card-head' }, [h('h2', { id: `${props.id}-title` }, props.title), props.aside]),
    props.children,
  ])
}

/** A button of a row: what it does, and for who only hears it, to which. */
export function RowButton({ text, of, onClick }: { text: string; of: string; onClick: () => void }): ComponentChild {
  return h('button', { type: 'button', class: 'small', 'aria-label': `${text} ${of}`, onClick }, text)
}

/** The command line that does the same, to be copied. */
export function CommandLine({ line }: { line: string }): ComponentChild {
  const [isCopied, setCopied] = useState(false)
  useEffect(() => setCopied(false), [line])
  const copy = async () => {
    await navigator.clipboard.writeText(line)
    setCopied(true)
  }
  return h('div', { class: 'line' }, [
    h('span', { class: 'quiet', id: 'line-label' }, 'The same on the command line'),
    h('div', { class: 'line-row' }, [
      h('code', { 'aria-label': 'Command line' }, visibleText(line)),
      h(
        'button',
        { type: 'button', class: 'small', onClick: copy, 'aria-live': 'polite' },
        isCopied ? 'Copied' : 'Copy',
      ),
    ]),
  ])
}

export function Problem({ report }: { report: ErrorReport }): ComponentChild {
  return h('div', { class: 'problem', role: 'alert' }, [
    h('strong', null, visibleText(report.Error)),
    report.hint === undefined ? null : h('p', null, visibleText(report.hint)),
    ['ERROR', 'USAGE'].includes(report.code) ? null : h('code', { class: 'quiet' }, report.code),
  ])
}

export function Notes({ notes }: { notes: readonly string[] }): ComponentChild | null {
  if (notes.length === 0) return null
  return h(
    'ul',
    { class: 'notes' },
    notes.map((note) => h('li', null, visibleText(note))),
  )
}

/** A dialog of the browser's own: it holds the focus, ends by Escape, and gives the focus back. */
export function Dialog(props: {
  title: ComponentChildren
  onClose: () => void
  children: ComponentChildren
}): ComponentChild {
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = element.current
    const opener = document.activeElement
    dialog?.showModal()
    return () => {
      dialog?.close()
      if (opener instanceof HTMLElement || opener instanceof SVGElement) opener.focus()
    }
  }, [])
  return h('dialog', { ref: element, 'aria-labelledby': id, onCancel: props.onClose, onClose: props.onClose }, [
    h('header', { class: 'card-head' }, [
      h('h2', { id }, props.title),
      h('button', { type: 'button', class: 'small', onClick: props.onClose }, 'Close'),
    ]),
    props.children,
  ])
}

/** Anything that a command prints as JSON, as a list of names and values. What comes new in it is shown without more ado. */
export function Facts({ of }: { of: object }): ComponentChild {
  const entries = Object.entries(of).filter(
    ([key, value]) => value !== undefined && value !== null && value !== '' && !isTold(key, of),
  )
  return h(
    'dl',
    { class: 'facts' },
    entries.map(([key, value]) =>
      h('div', { class: 'fact', key }, [h('dt', null, words(key)), h('dd', null, shown(value))]),
    ),
  )
}

function shown(value: unknown): ComponentChildren {
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object')) return value.map((item) => visible(String(item))).join(', ')
    return value.map((item, index) => h(Facts, { key: index, of: item as object }))
  }
  if (typeof value === 'object' && value !== null) return h(Facts, { of: value })
  return visibleText(typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value))
}

/** A raw number that stands beside it in words. */
function isTold(key: string, of: object): boolean {
  return `${key}_h` in of || (key.endsWith('_ts') && key.replace(/_ts$/, '_time') in of)
}

function words(key: string): string {
  return visible(key.replace(/_h$/, '').replaceAll('_', ' '))
}
