import type { Document, MongoClient } from 'mongodb'

/** Whom a client is logged in as, `DB.USER`, as the `_id` in `admin.system.users`; undefined without authentication. */
export async function connectedAs(client: MongoClient): Promise<string | undefined> {
  const { authInfo } = await client.db('admin').command({ connectionStatus: 1 })
  return userOf(authInfo as Document | undefined)
}

/** The same out of what `connectionStatus` told. */
export function userOf(authInfo: Document | undefined): string | undefined {
  const [first] = (authInfo?.authenticatedUsers ?? []) as { user: string; db: string }[]
  return first === undefined ? undefined : `${first.db}.${first.user}`
}
