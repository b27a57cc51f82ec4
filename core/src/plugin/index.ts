/** Everything a plugin may import from core: `@pbmkit/core/plugin`. */
export * from './compression.js'
export * from './encryption.js'
export * from './errors.js'
export * from './options-schema.js'
export * from './plugin.js'
export * from './storage.js'
export * from './streams.js'
