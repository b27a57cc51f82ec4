import type { MongoClient } from 'mongodb'

/** The first user of every server started with `auth`. The password needs escaping in a URI, as real ones do. */
export const ADMIN = { user: 'boss', password: 'b0ss:p@ss/w%rd' } as const

/** The user an agent and the CLI connect as, with no more privileges than PBM's documentation asks for. */
export const PBM_USER = { user: 'pbmuser', password: 'pbm:s3cret/%@' } as const

/** Creates {@link ADMIN} through the localhost exception: works once, on a primary that has no user yet. */
export async function createAdmin(client: MongoClient): Promise<void> {
  await client.db('admin').command({ createUser: ADMIN.user, pwd: ADMIN.password, roles: ['root'] })
}

/**
 * Creates the role and the user of PBM's least-privilege set-up (control-plane.md §9): `readWrite` on admin,
 * `backup`, `clusterMonitor`, `restore`, and `pbmAnyAction` (anyAction on anyResource).
 */
export async function createPbmUser(client: MongoClient): Promise<void> {
  const admin = client.db('admin')
  await admin.command({
    createRole: 'pbmAnyAction',
    privileges: [{ resource: { anyResource: true }, actions: ['anyAction'] }],
    roles: [],
    writeConcern: { w: 'majority' },
  })
  await admin.command({
    createUser: PBM_USER.user,
    pwd: PBM_USER.password,
    roles: [
      { db: 'admin', role: 'readWrite' },
      { db: 'admin', role: 'backup' },
      { db: 'admin', role: 'clusterMonitor' },
      { db: 'admin', role: 'restore' },
      { db: 'admin', role: 'pbmAnyAction' },
    ],
    writeConcern: { w: 'majority' },
  })
}
