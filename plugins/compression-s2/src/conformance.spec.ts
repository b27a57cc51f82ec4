import { compressionConformance } from '@pbmkit/conformance'
import plugin from './index.js'

compressionConformance({ describe, it, plugin })
