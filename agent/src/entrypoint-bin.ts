#!/usr/bin/env node
import 'reflect-metadata'
import { errorText } from '@pbmkit/core'
import { runEntrypoint } from './entrypoint.js'
import { hideCommandLine } from './hide-credentials.js'

const args = process.argv.slice(2)
hideCommandLine()
try {
  process.exitCode = await runEntrypoint({ args, env: process.env })
} catch (error) {
  process.stderr.write(`Error: ${errorText(error)}\n`)
  process.exitCode = 1
}
