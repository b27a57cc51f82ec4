import { type ComponentChild, h } from 'preact'
import { useState } from 'preact/hooks'
import type { ErrorReport } from '../../errors.js'
import { post, reportOf } from './api.js'
import { Problem } from './parts.js'

/** For a page that others reach: a user of the database, whose roles decide. */
export function Login({ onEnter }: { onEnter: () => void }): ComponentChild {
  const [fault, setFault] = useState<ErrorReport | undefined>()
  const [isBusy, setBusy] = useState(false)
  const enter = async (event: Event) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    setBusy(true)
    try {
      await post('/api/login', { user: String(fields.get('user')), password: String(fields.get('password')) })
      onEnter()
    } catch (error) {
      setFault(reportOf(error))
      setBusy(false)
    }
  }
  return h('main', { class: 'login' }, [
    h('form', { class: 'card', onSubmit: enter, 'aria-labelledby': 'login-title' }, [
      h('h1', { id: 'login-title' }, 'Log in to pbm'),
      h('p', { class: 'quiet' }, 'As a user of the database. What you may see and do is what its roles let you.'),
      h('div', { class: 'field' }, [
        h('label', { for: 'user' }, 'User'),
        h('input', { id: 'user', name: 'user', required: true, autocomplete: 'username', spellcheck: false }),
      ]),
      h('div', { class: 'field' }, [
        h('label', { for: 'password' }, 'Password'),
        h('input', {
          id: 'password',
          name: 'password',
          type: 'password',
          required: true,
          autocomplete: 'current-password',
        }),
      ]),
      fault === undefined ? null : h(Problem, { report: fault }),
      h('button', { type: 'submit', class: 'primary', disabled: isBusy }, isBusy ? 'Logging in …' : 'Log in'),
    ]),
  ])
}
