/** `@pbmkit/cli`: the `pbm` command as a function, for programs that want to run it in their own process. */
import 'reflect-metadata'

export { EXIT } from './errors.js'
export type { Io } from './io.js'
export { main } from './main.js'
