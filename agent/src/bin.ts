#!/usr/bin/env node
import { takeMemorySettings } from './memory-settings.js'

takeMemorySettings()
// Only now: what is loaded before would be loaded twice.
await import('reflect-metadata')
const { main } = await import('./main.js')
await main(process.argv, process.env)
