/** `@pbmkit/core`: pipelines, protocol and formats. The agent and the CLI build on this entry; plugins on `./plugin`. */
export * from './errors.js'
export * from './plugin/index.js'
export * from './store/names.js'
export * from './store/namespace-objects.js'
export * from './store/pbm-version.js'
export * from './time/clock.js'
