import type { ConnectionString } from 'mongodb-connection-string-url'
import { PbmError } from '../errors.js'

/** What the driver here takes from a URI; it refuses all else. */
const KNOWN = [
  ...['appName', 'authMechanism', 'authMechanismProperties', 'authSource', 'compressors', 'connectTimeoutMS'],
  ...['directConnection', 'enableOverloadRetargeting', 'fsync', 'heartbeatFrequencyMS', 'j', 'journal', 'loadBalanced'],
  ...['localThresholdMS', 'maxAdaptiveRetries', 'maxConnecting', 'maxIdleTimeMS', 'maxPoolSize', 'maxStalenessSeconds'],
  ...['minPoolSize', 'proxyHost', 'proxyPassword', 'proxyPort', 'proxyUsername', 'readConcernLevel', 'readPreference'],
  ...['readPreferenceTags', 'replicaSet', 'retryReads', 'retryWrites', 'serverMonitoringMode'],
  ...['serverSelectionTimeoutMS', 'socketTimeoutMS', 'ssl', 'timeoutMS', 'tls', 'tlsAllowInvalidCertificates'],
  ...['tlsAllowInvalidHostnames', 'tlsCAFile', 'tlsCertificateKeyFile', 'tlsCertificateKeyFilePassword', 'tlsCRLFile'],
  ...['tlsInsecure', 'w', 'waitQueueTimeoutMS', 'wtimeout', 'wtimeoutMS', 'zlibCompressionLevel'],
]
const KNOWN_NAMES: ReadonlySet<string> = new Set(KNOWN.map((name) => name.toLowerCase()))

/** What the driver of PBM, that of Go, calls otherwise. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['sslcertificateauthorityfile', 'tlsCAFile'],
  ['sslclientcertificatekeyfile', 'tlsCertificateKeyFile'],
  ['sslclientcertificatekeypassword', 'tlsCertificateKeyFilePassword'],
  ['sslinsecure', 'tlsInsecure'],
  ['authmechanismproperty', 'authMechanismProperties'],
])

/** Only saves bytes on the way, and others need libraries that are not here. */
const COMPRESSORS = 'zlib'
/** Drivers ask the servers of the authority with them or not; the one here never does. */
const HARMLESS = /^tlsDisable(?:OCSPEndpointCheck|CertificateRevocationCheck)$/i

/**
 * Makes the options of a URI those of the driver here: others' names become its own, and what it does not know is taken out,
 * as PBM's agents pass over it. Throws URI_OPTION where that would mislead: about certificates and logins.
 *
 * @returns the names of what was taken out
 */
export function adaptOptions(uri: ConnectionString): string[] {
  const ignored: string[] = []
  for (const [key, value] of [...uri.searchParams]) {
    const name = key.toLowerCase()
    const renamed = RENAMED.get(name)
    if (name === 'compressors') keepCompressor(uri, key, value, ignored)
    if (KNOWN_NAMES.has(name)) continue
    uri.searchParams.delete(key)
    if (renamed !== undefined) {
      if (!uri.searchParams.has(renamed)) uri.searchParams.set(renamed, value)
    } else if (/^(?:tls|ssl|auth)/i.test(key) && !HARMLESS.test(key)) throw unknownSecurity(key)
    else ignored.push(key)
  }
  return ignored
}

function keepCompressor(uri: ConnectionString, key: string, value: string, ignored: string[]): void {
  const wanted = value.split(',').map((each) => each.trim().toLowerCase())
  const others = wanted.filter((each) => each !== COMPRESSORS && each !== 'none')
  if (others.length === 0) return
  ignored.push(`${key}=${others.join(',')}`)
  if (wanted.includes(COMPRESSORS)) uri.searchParams.set(key, COMPRESSORS)
  else uri.searchParams.delete(key)
}

function unknownSecurity(key: string): PbmError {
  const isSplit = /^tls(?:CertificateFile|PrivateKeyFile)$/i.test(key)
  return new PbmError('URI_OPTION', `the MongoDB URI has the option ${key}, which is not known here`, {
    hint: isSplit
      ? 'Put the certificate and its key into one file, and name that in tlsCertificateKeyFile'
      : 'Correct its name, or leave it out: it would change how servers and users are proven',
  })
}
