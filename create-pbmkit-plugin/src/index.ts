export * from './main.js'
export * from './scaffold.js'
