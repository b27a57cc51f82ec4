import { createHash } from 'node:crypto'

/**
 * Digests of what is sent, for servers that want them: S3 takes nothing without one into a bucket that keeps objects from
 * being deleted (Object Lock with a default retention). That can't be known before, and MD5 takes as long as the rest of
 * an upload, so nothing has one until the server has asked.
 */
export class Digests {
  #wanted = false

  async send<T>(body: Buffer, request: (digest: { readonly ContentMD5?: string }) => Promise<T>): Promise<T> {
    if (!this.#wanted) {
      try {
        return await request({})
      } catch (error) {
        if (!/\bContent-MD5\b.*\brequired\b/i.test(error instanceof Error ? error.message : '')) throw error
        this.#wanted = true
      }
    }
    return await request({ ContentMD5: createHash('md5').update(body).digest('base64') })
  }
}
