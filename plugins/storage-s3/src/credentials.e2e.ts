import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DeleteBucketCommand } from '@aws-sdk/client-s3'
import { body, failure, get, removeTemporaryFolder, temporaryFolder } from '@pbmkit/conformance/testbed'
import { hasCode } from '@pbmkit/core/plugin'
import { openS3As, type S3Options } from './index.js'
import { TestServer } from './minio.support.js'
import { assumeRole } from './sts.support.js'

const SIZE = 12 * 1024 ** 2

describe('credentials of storage-s3', () => {
  const server = new TestServer()
  const original = { ...process.env }
  let options: S3Options
  let folder: string

  before(async function () {
    await server.start(this)
    folder = await temporaryFolder('pbmkit-aws-')
  })
  beforeEach(async () => {
    options = await server.bucket()
    environment({ AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: join(folder, 'none') })
  })
  afterEach(async () => {
    await server.closeStores()
    for (const name of Object.keys(process.env)) if (original[name] === undefined) delete process.env[name]
    Object.assign(process.env, original)
  })
  after(async () => {
    await removeTemporaryFolder(folder)
    await server.stop()
  })

  const environment = (variables: Readonly<Record<string, string>>) => void Object.assign(process.env, variables)

  /** The file of that name with `lines`, for a variable of AWS. */
  const file = async (name: string, ...lines: string[]): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, `${lines.join('\n')}\n`)
    return path
  }

  it('tells wrong keys, a wrong secret and a missing bucket apart', async () => {
    const secret = 'wrong-secret-shown-nowhere'
    const known = options.credentials ?? {}
    const wrong = (credentials: object) =>
      failure(server.open({ ...options, credentials: { ...known, ...credentials } }))
    assert.match((await wrong({ 'access-key-id': 'nobody' })).message, /does not know the access key/)
    const error = await wrong({ 'secret-access-key': secret })
    assert.match(error.message, /secret does not belong/)
    assert.ok(!JSON.stringify(error).includes(secret))
    assert.match((await failure(server.open({ ...options, bucket: 'no-such-bucket' }))).message, /create it, or mend/)
    assert.match((await failure(server.open({ ...options, bucket: 'No_Bucket' }))).message, /storage\.s3\.bucket/)
  })

  it('tells that the bucket went away from an object that is not there', async () => {
    const store = await server.open(options)
    assert.ok(hasCode(await failure(store.stat('object')), 'STORAGE_NOT_FOUND'))
    await server.admin.send(new DeleteBucketCommand({ Bucket: options.bucket }))
    for (const work of [() => store.stat('object'), () => store.read('object'), () => store.delete('object')]) {
      const error = await failure(work())
      assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE'), String(error))
      assert.match(error.message, /there is no bucket/)
    }
  })

  it('uses the temporary credentials of a role, and tells what its policy denies and when they have expired', async () => {
    const credentials = await assumeRole(server.minio, ['s3:ListBucket', 's3:GetObject'], options.bucket)
    const own = await server.open(options)
    await own.save('object', body(Buffer.from('x')))
    const store = await server.open({ ...options, credentials })
    assert.equal((await get(store, 'object')).toString(), 'x')
    for (const work of [
      () => store.save('object', body(Buffer.from('y'))),
      () => store.save('object', body(Buffer.alloc(SIZE))),
      () => store.delete('object'),
      () => store.copy('object', 'copy'),
    ]) {
      const error = await failure(work())
      assert.ok(hasCode(error, 'STORAGE_DENIED') && !error.retriable, String(error))
      assert.match(error.message, /s3:PutObject/)
    }
    const [header = '', claims = ''] = credentials['session-token'].split('.')
    const past = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), exp: 1 }
    const signed = `${header}.${Buffer.from(JSON.stringify(past)).toString('base64url')}`
    const signature = createHmac('sha512', server.minio.secretAccessKey).update(signed).digest('base64url')
    const expired = { ...credentials, 'session-token': `${signed}.${signature}` }
    const error = await failure(server.open({ ...options, credentials: expired }))
    assert.ok(hasCode(error, 'STORAGE_DENIED'), String(error))
    assert.match(error.message, /session-token/)
  })

  it('takes those of a profile, and tells when there are none', async () => {
    const { 'access-key-id': id, 'secret-access-key': secret } = options.credentials ?? {}
    const lines = ['[backups]', `aws_access_key_id = ${id}`, `aws_secret_access_key = ${secret}`]
    environment({ AWS_SHARED_CREDENTIALS_FILE: await file('credentials', ...lines) })
    const store = await server.open({ ...options, credentials: { profile: 'backups' } })
    await store.save('object', body(Buffer.from('x')))
    const error = await failure(server.open({ ...options, credentials: {} }))
    assert.ok(hasCode(error, 'STORAGE_DENIED'), String(error))
    assert.match(error.message, /no credentials: set storage\.s3\.credentials/)
  })

  it('takes the role of a profile', async () => {
    const { accessKeyId, secretAccessKey, endpoint } = server.minio
    const own = ['[base]', `aws_access_key_id = ${accessKeyId}`, `aws_secret_access_key = ${secretAccessKey}`]
    const role = ['[profile backups]', 'role_arn = arn:aws:iam::1:role/backups', 'source_profile = base']
    // Files of another name each time: the SDK reads each of them once.
    environment({
      AWS_ENDPOINT_URL_STS: endpoint,
      AWS_SHARED_CREDENTIALS_FILE: await file('base', ...own),
      AWS_CONFIG_FILE: await file('config', ...role),
    })
    const store = await server.open({ ...options, credentials: { profile: 'backups' } })
    await store.save('object', body(Buffer.alloc(SIZE)))
    assert.equal((await get(store, 'object')).length, SIZE)
  })

  describe('of a web identity', () => {
    const asked: URLSearchParams[] = []
    let sts: Server
    let answer: () => Promise<readonly [status: number, xml: string]>

    /** MinIO has this of its own only with a provider of identities behind it. */
    before(async () => {
      sts = createServer(async (request, response) => {
        let text = ''
        for await (const chunk of request) text += String(chunk)
        asked.push(new URLSearchParams(text))
        const [status, xml] = await answer()
        response.writeHead(status, { 'content-type': 'text/xml' }).end(xml)
      })
      await new Promise<void>((resolve) => sts.listen(0, '127.0.0.1', resolve))
    })
    beforeEach(async () => {
      environment({
        AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${(sts.address() as AddressInfo).port}`,
        AWS_ROLE_ARN: 'arn:aws:iam::1:role/backups',
        AWS_WEB_IDENTITY_TOKEN_FILE: await file('token', 'token-of-the-pod'),
        AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none'),
      })
    })
    after(() => {
      sts.closeAllConnections()
      sts.close()
    })

    it('are taken from its role', async () => {
      const credentials = await assumeRole(
        server.minio,
        ['s3:ListBucket', 's3:GetObject', 's3:PutObject'],
        options.bucket,
      )
      answer = async () => [200, granted(credentials)]
      const store = await server.open({ ...options, credentials: {} })
      await store.save('object', body(Buffer.from('x')))
      assert.equal((await get(store, 'object')).toString(), 'x')
      const [first] = asked
      assert.equal(first?.get('Action'), 'AssumeRoleWithWebIdentity')
      assert.equal(first?.get('RoleArn'), 'arn:aws:iam::1:role/backups')
      assert.equal(first?.get('WebIdentityToken')?.trim(), 'token-of-the-pod')
    })

    it('win over configured keys, as in PBM', async () => {
      const role = await assumeRole(server.minio, ['s3:ListBucket', 's3:GetObject', 's3:PutObject'], options.bucket)
      answer = async () => [200, granted(role)]
      const before = asked.length
      const wrong = { 'access-key-id': 'of-nobody', 'secret-access-key': 'of-nobody' }
      const store = await server.open({ ...options, credentials: wrong })
      await store.save('object', body(Buffer.from('x')))
      assert.ok(asked.length > before)
    })

    it('are left alone by storages of other types that speak S3', async () => {
      answer = async () => [403, refused('AccessDenied', 'must not be asked')]
      const before = asked.length
      const store = await openS3As(options, { signal: new AbortController().signal, warn: () => undefined }, [])
      await store.close()
      assert.equal(asked.length, before)
    })

    for (const [code, message, words] of [
      [
        'AccessDenied',
        'Not authorized to perform sts:AssumeRoleWithWebIdentity',
        /role is refused .*AssumeRoleWithWebIdentity.*AWS_ROLE_ARN.*trusts/,
      ],
      ['ExpiredTokenException', 'Token expired: current date/time must be before the expiration', /have expired/],
      [
        'InvalidIdentityToken',
        'No OpenIDConnect provider found in your account',
        /role is refused .*No OpenIDConnect provider/,
      ],
    ] as const) {
      it(`are refused: ${code}`, async () => {
        answer = async () => [403, refused(code, message)]
        const error = await failure(server.open({ ...options, credentials: {} }))
        assert.ok(hasCode(error, 'STORAGE_DENIED') && !error.retriable, String(error))
        assert.match(error.message, words)
        assert.ok(!JSON.stringify([error, error.message, error.cause]).includes('token-of-the-pod'))
      })
    }
  })
})

function granted(credentials: Awaited<ReturnType<typeof assumeRole>>): string {
  const keys = `<AccessKeyId>${credentials['access-key-id']}</AccessKeyId><SecretAccessKey>${credentials['secret-access-key']}</SecretAccessKey><SessionToken>${credentials['session-token']}</SessionToken><Expiration>${new Date(Date.now() + 900_000).toISOString()}</Expiration>`
  return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>${keys}</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
}

function refused(code: string, message: string): string {
  return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`
}
