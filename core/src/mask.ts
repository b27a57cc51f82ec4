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

/** User and password in front of the host of a URL. A user alone, as in `sftp://user@host`, is no secret. */
const URL_CREDENTIALS = /(\b[a-z][a-z0-9+.-]{0,30}:\/\/)([^\s'"/@:]*:[^\s'"/@]*)@/gi

/** The text with the credentials in its URLs hidden: nothing says of an endpoint that a password may stand in it. */
export function maskUrls(text: string): string {
  return text.replace(URL_CREDENTIALS, `$1${MASK}@`)
}

/** Whether the text is a mask, or a URL whose credentials are masked, as it was shown. */
export function isMasked(text: unknown): boolean {
  return typeof text === 'string' && (text === MASK || text.includes(`://${MASK}@`))
}

/** The passwords in the URLs of a text, as they are written there. */
export function passwordsInUrls(text: string): string[] {
  return [...text.matchAll(URL_CREDENTIALS)].map(([, , login = '']) => login.slice(login.indexOf(':') + 1))
}
