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
