import {
  connectPrimary,
  type DatabaseRole,
  databaseRole,
  KNOWN_SINCE,
  nodeInfo,
  PbmError,
  ROLE_KINDS,
  type RoleKind,
} from '@pbmkit/core'
import { Command, Option } from 'commander'
import type { MongoClient } from 'mongodb'
import { usageError } from '../errors.js'
import type { Run, Session } from '../session.js'

interface SetupOptions {
  role?: RoleKind[]
  sharded?: boolean
  physical?: boolean
  create?: boolean
  grant?: string
}

const UNAUTHORIZED = 13
const USER_NOT_FOUND = 11
const MAJORITY = { writeConcern: { w: 'majority' } } as const

/** `pbm setup-roles`: the least that each user needs, as a script for mongosh, as JSON, or made at once. */
export function setupRolesCommand(run: Run): Command {
  return new Command('setup-roles')
    .description('print the roles that agents, operators and viewers need in the database, or create them')
    .addOption(
      new Option('--role <kind>', `only this one; may be repeated: ${ROLE_KINDS.join(', ')}`).argParser(
        (kind: string, earlier: RoleKind[] = []) => [...earlier, roleKind(kind)],
      ),
    )
    .option('--sharded', 'for the replica sets of a sharded cluster; --create sees that itself')
    .option('--physical', 'with what physical backups and their restores need')
    .option(
      '--create',
      'create them, or change them if they are there, on the replica set of the URI, as its administrator',
    )
    .option('--grant <user>', 'with --create and one --role: give it to this user of the database admin')
    .action((options: SetupOptions, self: Command) => run(self, (session) => setup(session, options)))
}

function roleKind(text: string): RoleKind {
  const kind = ROLE_KINDS.find((one) => one === text)
  if (kind === undefined) throw usageError(`--role: '${text}' is no role`, `Choose ${ROLE_KINDS.join(', ')}.`)
  return kind
}

async function setup(session: Session, options: SetupOptions): Promise<void> {
  const kinds = [...new Set(options.role ?? ROLE_KINDS)]
  if (options.grant !== undefined && (options.create !== true || options.role?.length !== 1))
    throw usageError(
      '--grant goes only with --create and one --role',
      'pbm setup-roles --create --role agent --grant USER',
    )
  if (options.create === true) {
    await create(session, kinds, options)
    return
  }
  const rolesOf = (version?: string) =>
    kinds.map((kind) =>
      databaseRole(kind, {
        sharded: options.sharded === true,
        physical: options.physical === true,
        ...(version === undefined ? {} : { version }),
      }),
    )
  session.output.result(rolesOf().map(createRole), () => script(rolesOf(NEWEST)))
}

/** The script leaves out what the server does not know. */
const NEWEST = `${Math.max(...Object.values(KNOWN_SINCE))}.0`

/** The server's own command. */
function createRole({ name, privileges, roles }: DatabaseRole) {
  return { createRole: name, privileges, roles }
}

/** For mongosh. A second run changes what is there. */
function script(roles: readonly DatabaseRole[]): string {
  return [
    '// In mongosh, on the primary of every replica set, as a user administrator.',
    'for (const { name, privileges, roles } of [',
    ...roles.flatMap(({ name, privileges, roles: inherited }) => [
      `  { name: ${JSON.stringify(name)}, roles: ${JSON.stringify(inherited)}, privileges: [`,
      ...privileges.map((privilege) => `    ${JSON.stringify(privilege)},`),
      '  ] },',
    ]),
    ']) {',
    '  const admin = db.getSiblingDB("admin")',
    '  // A server refuses what it does not know.',
    `  const since = ${JSON.stringify(KNOWN_SINCE)}`,
    '  const isKnown = (name) => (since[name] ?? 0) <= parseInt(db.version())',
    '  const known = privileges.filter(({ resource }) => Object.keys(resource).every(isKnown))',
    '    .map(({ resource, actions }) => ({ resource, actions: actions.filter(isKnown) }))',
    '  if (admin.getRole(name) === null) admin.createRole({ role: name, privileges: known, roles })',
    '  else admin.updateRole(name, { privileges: known, roles })',
    '}',
    '// Then users with one of them each:',
    `// db.getSiblingDB("admin").createUser({ user: "pbm", pwd: passwordPrompt(), roles: ["${roles[0]?.name}"] })`,
  ].join('\n')
}

async function create(
  session: Session,
  kinds: readonly RoleKind[],
  { grant: user, physical = false }: SetupOptions,
): Promise<void> {
  const client = await connectPrimary(await session.uri(), { appName: 'pbm' })
  try {
    const { isSharded, rs: replset, version } = await nodeInfo(client)
    const roles = kinds.map((kind) => databaseRole(kind, { sharded: isSharded, physical, version }))
    const created: string[] = []
    const changed: string[] = []
    for (const role of roles) ((await ensureRole(client, role)) ? created : changed).push(role.name)
    if (user !== undefined) await grant(client, user, roles)
    const told = { replset, created, changed, ...(user === undefined ? {} : { granted: user }) }
    session.output.result(told, () =>
      [
        ...(created.length === 0 ? [] : [`Created on ${replset}: ${created.join(', ')}.`]),
        ...(changed.length === 0
          ? []
          : [`Were there on ${replset}, and are now as they should be: ${changed.join(', ')}.`]),
        ...(user === undefined ? [] : [`User ${user} has ${roles.map(({ name }) => name).join(', ')}.`]),
      ].join('\n'),
    )
    if (isSharded)
      session.output.note(
        'Do the same with the URI of each other replica set of the cluster: each has users of its own.',
      )
  } catch (error) {
    if ((error as { code?: unknown }).code !== UNAUTHORIZED) throw error
    throw new PbmError('ROLES_DENIED', 'the user of the URI may not create roles', {
      hint: 'Give the URI of a user administrator, with the role userAdminAnyDatabase or root.',
      cause: error,
    })
  } finally {
    await client.close()
  }
}

/** Whether it was not there. */
async function ensureRole(client: MongoClient, { name, privileges, roles }: DatabaseRole): Promise<boolean> {
  const admin = client.db('admin')
  const found = await admin.command({ rolesInfo: { role: name, db: 'admin' } })
  const isNew = (found.roles as unknown[]).length === 0
  await admin.command({ [isNew ? 'createRole' : 'updateRole']: name, privileges, roles, ...MAJORITY })
  return isNew
}

async function grant(client: MongoClient, user: string, roles: readonly DatabaseRole[]): Promise<void> {
  const names = roles.map(({ name }) => name)
  try {
    await client.db('admin').command({ grantRolesToUser: user, roles: names, ...MAJORITY })
  } catch (error) {
    if ((error as { code?: unknown }).code !== USER_NOT_FOUND) throw error
    throw new PbmError('USER_NOT_FOUND', `there is no user ${user} in the database admin`, {
      hint: `Create it in mongosh: db.getSiblingDB("admin").createUser({ user: "${user}", pwd: passwordPrompt(), roles: ["${names[0]}"] })`,
    })
  }
}
