import assert from 'node:assert/strict'
import { hasCode, type ObjectStore, PluginError, type StoragePlugin } from '../plugin/index.js'
import { PluginHost } from '../plugin-host/host.js'
import { redacted } from '../secrets/errors.js'
import { openStore } from './open.js'

const SECRET = 'p4ss/word+1'

describe('openStore', () => {
  let given: unknown
  let tries = 0
  let hang = Promise.withResolvers<void>()
  const leaky = (what: string) =>
    new PluginError('STORAGE_DENIED', `${what} refused for key ${SECRET}`, {
      cause: new Error(`GET /?sig=${encodeURIComponent(SECRET)}`),
    })
  const fail = () => Promise.reject(leaky('call'))
  const store: ObjectStore = {
    capabilities: { ifAbsent: false, serverSideCopy: false, modifiedAt: false },
    save: fail,
    read: async () => {
      return (async function* () {
        yield Buffer.from('x')
        throw leaky('read')
      })()
    },
    stat: fail,
    list: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
    delete: fail,
    copy: fail,
    close: async () => undefined,
  }
  const plugin: StoragePlugin = {
    kind: 'storage',
    name: 'leaky',
    apiVersion: 1,
    optionsSchema: {
      type: 'object',
      additionalProperties: false,
      required: ['bucket'],
      properties: {
        bucket: { type: 'string' },
        credentials: {
          type: 'object',
          additionalProperties: false,
          properties: { key: { type: 'string', writeOnly: true } },
        },
      },
    },
    open: async (options: { bucket: string }, { warn, debug }) => {
      given = options
      tries += 1
      warn(`the key ${SECRET} is not of this bucket`)
      debug?.(`asked with ${SECRET}`)
      if (options.bucket === 'closed') throw leaky('open')
      if (options.bucket === 'hanging') await hang.promise
      return store
    },
    describe: () => 'leaky',
  }
  class FilledHost extends PluginHost {
    override async storage(type: string): Promise<StoragePlugin> {
      return type === 'leaky' ? plugin : super.storage(type)
    }
  }
  const host = new FilledHost({ resolveFrom: 'file:///nowhere/main.js' })
  const warnings: string[] = []
  const tell = (text: string) => void warnings.push(text)
  const context = { signal: new AbortController().signal, warn: tell, debug: tell }
  const open = (options: object) => openStore(host, { type: 'leaky', leaky: options }, context)

  async function told(work: Promise<unknown>): Promise<void> {
    const error = await work.then(
      () => assert.fail('must be refused'),
      (reason: unknown) => reason,
    )
    assert.ok(hasCode(error, 'STORAGE_DENIED'), 'the code is kept')
    const seen = [
      String(error),
      (error as Error).stack,
      String((error as Error).cause),
      ((error as Error).cause as Error).stack,
    ].join('\n')
    assert.ok(!seen.includes(SECRET) && !seen.includes(encodeURIComponent(SECRET)), seen)
    assert.ok(seen.includes('***'))
  }

  it('gives up on a place that swallows what is sent', async () => {
    const options = { type: 'leaky', leaky: { bucket: 'hanging' } }
    await assert.rejects(openStore(host, options, context, { openMs: 20 }), {
      code: 'STORAGE_UNAVAILABLE',
      message: /^leaky has not answered within 0.02 s/,
    })
  })

  it('begins no other opening while one that was given up still hangs: each holds a thread', async () => {
    hang = Promise.withResolvers<void>()
    const options = { type: 'leaky', leaky: { bucket: 'hanging', credentials: { key: 'another' } } }
    const opened = () => openStore(host, options, context, { openMs: 20 })
    await assert.rejects(opened(), { code: 'STORAGE_UNAVAILABLE' })
    const before = tries
    for (let again = 0; again < 3; again++)
      await assert.rejects(opened(), { code: 'STORAGE_UNAVAILABLE', message: /an earlier try to open it still waits/ })
    assert.equal(tries, before)
    await open({ bucket: 'another' })
    hang.resolve()
    for (;;) {
      const store = await openStore(host, options, context).catch(() => undefined)
      if (store !== undefined) break
      await new Promise((resolve) => setImmediate(resolve))
    }
  })

  it('is not ended by a plugin that can not say where its storage is', async () => {
    const describe = () => assert.fail('the plugin says so')
    const dumb = { ...plugin, describe }
    const dumbHost = new (class extends PluginHost {
      override storage = async (): Promise<StoragePlugin> => dumb
    })({ resolveFrom: 'file:///nowhere/main.js' })
    hang = Promise.withResolvers<void>()
    const options = { type: 'leaky', leaky: { bucket: 'hanging' } }
    await assert.rejects(openStore(dumbHost, options, context, { openMs: 20 }), /the plugin says so/)
  })

  it('takes secrets out of the errors of every call', async () => {
    const opened = await open({ bucket: 'b', credentials: { key: SECRET } })
    await told(opened.save('a', (async function* () {})()))
    await told(opened.stat('a'))
    await told(opened.delete('a'))
    await told(opened.copy('a', 'b'))
    await told(
      (async () => {
        for await (const _ of opened.list());
      })(),
    )
    await told(
      (async () => {
        for await (const _ of await opened.read('a'));
      })(),
    )
    await told(open({ bucket: 'closed', credentials: { key: SECRET } }))
  })

  it('takes secrets out of what a plugin warns of', async () => {
    warnings.splice(0)
    await open({ bucket: 'b', credentials: { key: SECRET } })
    assert.deepEqual(warnings, ['the key *** is not of this bucket', 'asked with ***'])
  })

  it('takes secrets out of errors whose message can only be read', () => {
    const error = redacted(new DOMException(`aborted with ${SECRET}`, 'AbortError'), [SECRET])
    assert.equal((error as Error).message, 'aborted with ***')
    const other = new DOMException('aborted', 'AbortError')
    assert.equal(redacted(other, [SECRET]), other)
  })

  it('leaves out options that only PBM knows, and nulls', async () => {
    await open({ bucket: 'b', uploadPartSize: 5, credentials: { key: null, vault: { token: 'x' } } })
    assert.deepEqual(given, { bucket: 'b', credentials: {} })
  })

  it('refuses options that are wrong, and a plugin that is missing', async () => {
    await assert.rejects(open({ bucket: 5 }), {
      code: 'CONFIG_INVALID',
      message: /storage.leaky.bucket: must be a text/,
    })
    await assert.rejects(open({}), { code: 'CONFIG_INVALID', message: /storage.leaky.bucket: is missing/ })
    await assert.rejects(openStore(host, { type: 's3', s3: {} }, context), { code: 'PLUGIN_MISSING' })
  })
})
