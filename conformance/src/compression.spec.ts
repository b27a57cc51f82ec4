import { none } from '@pbmkit/core'
import { compressionConformance } from './compression.js'

// The method that is built into core: it has no package of its own to test it in.
compressionConformance({ describe, it, plugin: none })
