#!/usr/bin/env node
import { main } from './main.js'

const { stdin, stdout, stderr } = process
process.exitCode = await main(process.argv.slice(2), { stdin, stdout, stderr, cwd: process.cwd() })
