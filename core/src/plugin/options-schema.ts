/**
 * The options of a plugin as JSON Schema (draft 7), one schema feeding validation, help texts and masking.
 *
 * - `additionalProperties: false` at every level: unknown keys are refused.
 * - `writeOnly: true` marks a secret: it is never printed.
 * - `identity: true` (our own keyword) marks what tells one storage from another (bucket, prefix, path …); a changed
 *   value means another storage, whose backups must be listed anew.
 * - `localFile: true` (our own) marks a text that is the path of a file which the plugin reads on this machine, and
 *   `localCommand: true` a list that is a program and its arguments which it runs: only what the settings of the process
 *   allow is let through to `open`.
 */
export interface OptionsSchema {
  readonly type: 'object'
  readonly properties: Readonly<Record<string, object>>
  readonly required?: readonly string[]
  readonly additionalProperties: false
  readonly [keyword: string]: unknown
}
