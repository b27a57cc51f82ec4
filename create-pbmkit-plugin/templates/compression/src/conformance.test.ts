import { describe, it } from 'node:test'
import { compressionConformance } from '@pbmkit/conformance'
import plugin from './index.js'

compressionConformance({ describe, it, plugin })
