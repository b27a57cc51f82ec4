/** What a person can do about a failure of TLS. */
export interface TlsFault {
  readonly code: 'TLS' | 'TLS_FILE' | 'AUTHENTICATION' | 'UNREACHABLE'
  readonly what: string
  readonly hint: string
}

/** What the driver says of a failure: texts and codes of the whole chain of causes. */
export interface Said {
  readonly message: string
  readonly code?: string | number
}

/** The options of a URI that TLS depends on. */
export interface TlsOptions {
  readonly tls: boolean
  readonly caFile: boolean
  readonly keyFile: boolean
}

export function tlsOptionsOf(uri: string): TlsOptions {
  const options = new Map<string, string>()
  for (const [key, value] of new URLSearchParams(uri.split('?').at(1) ?? '')) options.set(key.toLowerCase(), value)
  return {
    tls: options.get('tls') === 'true' || options.get('ssl') === 'true',
    caFile: options.has('tlscafile'),
    keyFile: options.has('tlscertificatekeyfile'),
  }
}

/**
 * Tells the ways apart in which TLS fails: one end without it, a certificate that is not trusted, for another name or
 * expired, a file that holds none. OpenSSL and the server both say little, so the URI is part of the diagnosis.
 * Undefined when TLS has nothing to do with it.
 */
export function tlsFault(chain: readonly Said[], { tls, caFile, keyFile }: TlsOptions): TlsFault | undefined {
  const says = (pattern: RegExp) =>
    chain.some(({ message, code }) => pattern.test(message) || pattern.test(String(code)))
  if (says(/DECODER routines|PEM routines|PEM_read|no start line|bad base64|key values mismatch/i)) {
    return {
      code: 'TLS_FILE',
      what: 'a TLS file of the URI holds no certificate or no key that can be read',
      hint: 'tlsCAFile has the certificates of the CA, tlsCertificateKeyFile certificate and private key, all as PEM',
    }
  }
  if (says(/No verified subject name/i)) {
    return {
      code: 'AUTHENTICATION',
      what: 'MONGODB-X509 needs a client certificate, and the server got none',
      hint: 'Add tlsCertificateKeyFile=FILE to the URI: certificate and private key of the user as PEM',
    }
  }
  if (says(/CERT_HAS_EXPIRED|certificate has expired|CERT_NOT_YET_VALID/i)) {
    return {
      code: 'TLS',
      what: 'the certificate of the server has expired, or is not valid yet',
      hint: 'Renew it, or set the clocks of the two machines',
    }
  }
  if (says(/ALTNAME|Hostname\/IP does not match/i)) {
    return {
      code: 'TLS',
      what: 'the certificate of the server is for other host names',
      hint: 'Use a name that it has in the URI and in rs.conf(), or give the server a certificate with this one',
    }
  }
  if (says(/self.signed|SELF_SIGNED|UNABLE_TO_|unable to (get|verify)/i)) {
    return {
      code: 'TLS',
      what: caFile
        ? 'the certificate of the server is not signed by the CA in tlsCAFile'
        : 'the certificate of the server is signed by a CA that this machine does not know',
      hint: caFile
        ? 'Give tlsCAFile the certificates of the CA that signed those of the servers'
        : 'Add tlsCAFile=FILE to the URI: the certificates of your CA as PEM',
    }
  }
  if (tls && says(/before secure TLS connection|wrong version number|packet length too long/i)) {
    return {
      code: 'TLS',
      what: 'the URI asks for TLS, and the server does not speak it',
      hint: 'Take tls=true out of the URI, or start mongod with --tlsMode requireTLS; its log says more',
    }
  }
  const closed = says(/connection \S+ to .* closed|ECONNRESET|alert (handshake|certificate)|certificate required/i)
  if (closed && tls && !keyFile) {
    return {
      code: 'UNREACHABLE',
      what: 'the server closes the connection after the greeting of TLS',
      hint: 'Does it demand certificates of its clients? Add tlsCertificateKeyFile=FILE to the URI; its log says more',
    }
  }
  if (closed && !tls) {
    return {
      code: 'UNREACHABLE',
      what: 'the server closes every connection, as one does that demands TLS',
      hint: caFile
        ? 'Add tls=true to the URI: tlsCAFile alone does not switch TLS on'
        : 'Add tls=true to the URI, and tlsCAFile=FILE where the CA is your own; the log of mongod says more',
    }
  }
  return says(/^(ERR_SSL|ERR_TLS|ERR_OSSL|CERT_|EPROTO)|certificate|SSL routines|tlsv1/i)
    ? {
        code: 'TLS',
        what: 'the TLS connection failed',
        hint: 'Check tls, tlsCAFile, tlsCertificateKeyFile and the host names',
      }
    : undefined
}
