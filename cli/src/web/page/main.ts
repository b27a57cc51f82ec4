import { h, render } from 'preact'
import { App } from './app.js'

// The token has done its work: it is to stand neither in the address bar nor in the history.
if (location.search !== '') history.replaceState(null, '', location.pathname)

const root = document.getElementById('page')
if (root !== null) {
  root.replaceChildren()
  render(h(App, {}), root)
}
