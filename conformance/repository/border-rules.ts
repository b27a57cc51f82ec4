/** What may import what, as docs/architecture.md explains it. Plain data: borders.spec.ts holds the tree to it. */

/**
 * The floors of core/src from the ground up: files at its root and folders. A file may import its own floor and those
 * below. A folder within a folder may have a floor of its own.
 */
export const CORE_FLOORS: readonly string[] = [
  'errors.ts',
  'version.ts',
  'similar-words.ts',
  'secrets',
  'time',
  'log.ts',
  'plugin',
  'plugin-kit',
  'plugin-host',
  'bson',
  'mongo',
  'archive',
  'config',
  'control',
  'store',
  'encryption',
  'oplog',
  'protocol',
  'catalog',
  'recovery',
  'schedule',
  'notify',
  'backup',
  'restore',
  'verification',
  'slicer',
  'index.ts',
]

export interface Border {
  /** Of the repository. The longest one that a file is in counts. */
  readonly folder: string
  /** What its files may import besides their own folder and libraries: packages of ours, or other folders. */
  readonly may: readonly string[]
  /** What its tests may import besides. */
  readonly testsMay?: readonly string[]
}

const CONFORMANCE = '@pbmkit/conformance'
const TESTBED = '@pbmkit/conformance/testbed'
const CORE = '@pbmkit/core'
/** All that a plugin may know of core. */
const CONTRACT = ['@pbmkit/core/plugin', '@pbmkit/core/plugin/kit']
const PLUGIN = { may: CONTRACT, testsMay: [CONFORMANCE, TESTBED] }

export const BORDERS: readonly Border[] = [
  { folder: 'core', may: [], testsMay: [TESTBED] },
  { folder: 'plugins', ...PLUGIN },
  { folder: 'plugins/compression-s2', ...PLUGIN, may: [...CONTRACT, '@pbmkit/framing-snappy'] },
  { folder: 'plugins/compression-snappy', ...PLUGIN, may: [...CONTRACT, '@pbmkit/framing-snappy'] },
  // One storage speaks the other's protocol.
  ...['gcs', 'minio', 'oss', 'oci'].map((name) => ({
    ...{ folder: `plugins/storage-${name}`, ...PLUGIN },
    may: [...CONTRACT, '@pbmkit/storage-s3'],
  })),
  // Measures the memory of a transfer with core's wrappers around the storage.
  { folder: 'plugins/storage-s3', ...PLUGIN, testsMay: [CONFORMANCE, TESTBED, CORE] },
  { folder: 'agent', may: [CORE, ...CONTRACT], testsMay: [TESTBED] },
  // `pbm storage check` runs the suite where it is installed.
  { folder: 'cli', may: [CORE, ...CONTRACT, CONFORMANCE], testsMay: [TESTBED] },
  { folder: 'conformance/src', may: [CORE, ...CONTRACT, 'conformance/testbed'], testsMay: ['conformance/broken'] },
  { folder: 'conformance/testbed', may: [] },
  { folder: 'conformance/broken', may: [...CONTRACT, 'conformance/src'] },
  { folder: 'conformance/demo', may: [CORE, TESTBED] },
  { folder: 'conformance/repository', may: [CORE, TESTBED] },
  { folder: 'create-pbmkit-plugin/src', may: [] },
  { folder: 'create-pbmkit-plugin/templates', ...PLUGIN },
  // Has three hundred agents in one process; as many programs would not fit on one machine.
  { folder: 'bench', may: [CORE, TESTBED, '@pbmkit/agent'] },
]

/** Libraries of vendors, which only plugins know. Ends of `/*` stand for a whole scope. */
export const VENDORS: readonly string[] = ['@aws-sdk/*', '@google-cloud/*', '@azure/*', 'ssh2', 'lz4-napi', 'snappy']
/** Where no vendor is known. */
export const VENDOR_FREE: readonly string[] = ['core/', 'agent/', 'cli/', 'conformance/src/']
