import { createClient } from 'webdav'
import { statusOf, translated } from './errors.js'
import { Slots } from './slots.js'
import { webdavStore } from './store.js'

/**
 * @typedef {object} WebdavOptions
 * @property {string} url
 * @property {string} [username]
 * @property {string} [password]
 */

/** @type {import('@pbmkit/core/plugin').StoragePlugin<WebdavOptions>} */
const webdav = {
  kind: 'storage',
  name: 'webdav',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['url'],
    properties: {
      url: {
        type: 'string',
        pattern: '^https?://[^/@]+(?:/|$)',
        identity: true,
        description: 'http:// or https://, the server and the folder; the user and password have options of their own',
      },
      username: { type: 'string' },
      password: { type: 'string', writeOnly: true },
    },
  },

  async open({ url, username, password }, context) {
    const login = username === undefined ? {} : { username, password: password ?? '' }
    const connect = (/** @type {string} */ place) => createClient(place, login)
    const slots = new Slots(connect(url))
    try {
      await makeFolder(connect, url, context.signal)
      await slots.prepare()
    } catch (error) {
      throw translated(error, `opening ${describe({ url })}`)
    }
    return webdavStore(slots, context)
  },

  describe,
}

/**
 * Makes the folder of the storage where it is missing, and those above it.
 * @param {(place: string) => import('webdav').WebDAVClient} connect
 * @param {string} place
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
async function makeFolder(connect, place, signal) {
  try {
    await connect(place).createDirectory('/', { signal })
  } catch (error) {
    const status = statusOf(error)
    // There is something already.
    if (status === 405) return
    const above = new URL('..', place.endsWith('/') ? place : `${place}/`)
    if (status !== 409 || above.pathname === '/') throw error
    await makeFolder(connect, above.href, signal)
    await makeFolder(connect, place, signal)
  }
}

/** @param {WebdavOptions} options */
function describe({ url }) {
  return url
}

export default webdav
