import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { storageConformance } from '@pbmkit/conformance'
import plugin from './index.js'

// `options` gives a place that is empty and that nobody else uses, anew for each case.
storageConformance({ describe, it, plugin, options: () => ({ place: randomUUID() }) })
