export * from './decode-block.js'
export { type Dialect, maskedChecksum, S2, SNAPPY } from './format.js'
export * from './read.js'
export * from './write.js'
