export * from './command-line-tool.js'
export * from './compression.js'
export * from './compression-interop.js'
export * from './runner.js'
