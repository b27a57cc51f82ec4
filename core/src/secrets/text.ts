/** What stands for a secret wherever a configuration is shown (PBM: cli-and-config.md §3.1). */
export const MASK = '***'

/**
 * Names of options that hold secrets, for those that no schema describes: a plugin that is not at hand, the copy of the
 * storage configuration inside a backup's metadata. Errs on the side of hiding.
 */
const SECRET_NAME =
  /key|secret|token|passw|passphrase|credential|authorization|cookie|signature|tenancy|fingerprint|email|hmac/i

export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

/**
 * User and password in front of the host of a URL, which ends at the next slash; a password may hold an `@`. A user alone, as
 * in `sftp://user@host`, is no secret. In the midst of a text, quotes end it.
 */
const URL_CREDENTIALS = /(?<scheme>\b[a-z][a-z0-9+.-]{0,30}:\/\/)(?<login>[^\s'"/@:]*:[^\s'"/]*)@/gi
const WHOLE_URL = /^(?<scheme>[a-z][a-z0-9+.-]{0,30}:\/\/)(?<login>[^\s/@:]*:[^\s/]*)@/i

/** The text with the credentials in its URLs hidden: nothing says of an endpoint that a password may stand in it. */
export function maskUrls(text: string): string {
  const masked = `$<scheme>${MASK}@`
  return text.replace(WHOLE_URL, masked).replace(URL_CREDENTIALS, masked)
}

/** Whether the text is a mask, or a URL whose credentials are masked, as it was shown. */
export function isMasked(text: unknown): boolean {
  return typeof text === 'string' && (text === MASK || text.includes(`://${MASK}@`))
}

/** The passwords in the URLs of a text, as they are written there and as they are meant. */
export function passwordsInUrls(text: string): string[] {
  const whole = WHOLE_URL.exec(text)
  return (whole === null ? [...text.matchAll(URL_CREDENTIALS)] : [whole]).flatMap(({ groups: { login = '' } = {} }) => {
    const written = login.slice(login.indexOf(':') + 1)
    const meant = decoded(written)
    return meant === written ? [written] : [written, meant]
  })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A percent sign that encodes nothing.
    return text
  }
}
