/** What a plugin is: `@pbmkit/core/plugin`. Helpers for authors are in `@pbmkit/core/plugin/kit`. */
export * from './compression.js'
export * from './encryption.js'
export * from './errors.js'
export * from './options-schema.js'
export * from './plugin.js'
export * from './storage.js'
