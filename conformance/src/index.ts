export * from './compression.js'
export * from './runner.js'
