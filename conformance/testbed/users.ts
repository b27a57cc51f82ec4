import type { MongoClient } from 'mongodb'

/** The first user of every server started with `auth`. The password needs escaping in a URI, as real ones do. */
export const ADMIN = { user: 'boss', password: 'b0ss:p@ss/w%rd' } as const

/** The user that agents connect as, and the CLI where it has none of its own. */
export const PBM_USER = { user: 'pbmuser', password: 'pbm:s3cret/%@' } as const

/** A role in `admin`, as core has those of its users: the testbed knows none itself. */
export interface TestRole {
  readonly name: string
  /** As `createRole` takes them. */
  readonly privileges: readonly object[]
  readonly roles: readonly string[]
}

/** Creates {@link ADMIN} through the localhost exception: works once, on a primary that has no user yet. */
export async function createAdmin(client: MongoClient): Promise<void> {
  await client.db('admin').command({ createUser: ADMIN.user, pwd: ADMIN.password, roles: ['root'] })
}

/** Creates a role and a user who has it and no other. Its password is that of {@link PBM_USER}. */
export async function createUserWith(client: MongoClient, user: string, role: TestRole): Promise<void> {
  const admin = client.db('admin')
  const { name, privileges, roles } = role
  const writeConcern = { w: 'majority' } as const
  await admin.command({ createRole: name, privileges, roles, writeConcern })
  await admin.command({ createUser: user, pwd: PBM_USER.password, roles: [name], writeConcern })
}
