/** What filesystems below a server keep as one file name. */
const FILE_NAME_BYTES = 255

/** Whether requests go to AWS itself. */
export function isAws(endpoint: string | undefined): boolean {
  if (endpoint === undefined) return (process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL) === undefined
  return URL.canParse(endpoint) && /(^|\.)amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname)
}

/** The longest path segment a server keeps; `server` is its `Server` header. MinIO keeps objects as folders. */
export function segmentLimit(server: string): number | undefined {
  return isMinio(server) ? FILE_NAME_BYTES : undefined
}

/** Whether a server is known to keep `If-None-Match` for single objects and for uploads in parts. */
export function writesConditionally(server: string): boolean {
  return isMinio(server)
}

/**
 * Whether an error may pass that elsewhere would be final: MinIO denies access to an object whose folder another request
 * removes in that moment, because it holds nothing else.
 */
export function deniesInPassing(server: string, code: string): boolean {
  return isMinio(server) && code === 'AccessDenied'
}

function isMinio(server: string): boolean {
  return /^minio/i.test(server)
}
