import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY = 86_400_000

/** Paths of PEM files. */
export interface TlsFiles {
  readonly ca: string
  /** Certificate and private key of the servers (127.0.0.1, localhost), in one file as mongod wants it. */
  readonly server: string
  /** Certificate and private key for a client, in one file. */
  readonly client: string
}

/** Makes a certificate authority of its own, a server and a client certificate, in `folder`. Valid for 30 days. */
export async function createTlsFiles(folder: string): Promise<TlsFiles> {
  const authority = await generateKeys()
  const notBefore = new Date(Date.now() - DAY)
  const notAfter = new Date(Date.now() + 30 * DAY)
  const caName = 'CN=pbmkit testbed CA'
  const ca = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: caName,
      notBefore,
      notAfter,
      keys: authority,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  )

  const issue = async (name: string, serialNumber: string): Promise<string> => {
    const keys = await generateKeys()
    const certificate = await X509CertificateGenerator.create(
      {
        serialNumber,
        // A server takes a client certificate for another member's when O, OU and DC are the same: keep OU apart.
        subject: `CN=${name},OU=${name},O=pbmkit`,
        issuer: caName,
        notBefore,
        notAfter,
        publicKey: keys.publicKey,
        signingKey: authority.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [
          new BasicConstraintsExtension(false),
          // Both usages: the members of a replica set are each other's clients.
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
          new SubjectAlternativeNameExtension([
            { type: 'ip', value: '127.0.0.1' },
            { type: 'dns', value: 'localhost' },
          ]),
        ],
      },
      webcrypto,
    )
    const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
    return `${certificate.toString('pem')}\n${key}\n`
  }

  const files: TlsFiles = {
    ca: join(folder, 'ca.pem'),
    server: join(folder, 'server.pem'),
    client: join(folder, 'client.pem'),
  }
  await writeFile(files.ca, `${ca.toString('pem')}\n`)
  await writeFile(files.server, await issue('server', '02'), { mode: 0o600 })
  await writeFile(files.client, await issue('client', '03'), { mode: 0o600 })
  return files
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}
