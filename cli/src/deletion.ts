import {
  type BackupDocument,
  type Command,
  findBackup,
  listChunks,
  PbmError,
  type PitrChunkDocument,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { confirm } from './io.js'
import { requireLeaderAgent } from './preflight.js'
import { send } from './send.js'
import type { Session } from './session.js'
import { waitForOperation } from './wait/operation.js'

export interface Going {
  readonly backups: readonly BackupDocument[]
  readonly chunks: readonly PitrChunkDocument[]
}

export interface Deletion {
  readonly command: Command & { readonly cmd: 'cleanup' | 'deletePitr' }
  /** For messages. */
  readonly title: string
  readonly going: Going
  /** The same for people: a line each. */
  readonly lines: string
  readonly result: (deleted: boolean, msg: string) => object
}

export interface DeletionOptions {
  readonly isConfirmed: boolean
  readonly wait: boolean
  readonly deadline: number | undefined
}

/** Asks, sends the command, and, where that is asked for, waits until all is gone. */
export async function carryOutDeletion(
  session: Session,
  leader: MongoClient,
  { command, title, going, lines, result }: Deletion,
  { isConfirmed, wait, deadline }: DeletionOptions,
): Promise<void> {
  const { output } = session
  const { cmd } = command
  await requireLeaderAgent(leader)
  if (!isConfirmed) await confirm(`To be deleted:\n${lines}\nDelete it?`, session.io)
  const opid = await send(leader, command)
  if (!wait) {
    output.result(result(false, 'being deleted'), () =>
      [`Being deleted:`, lines, `See how it ends: pbm logs -e ${cmd} -i ${opid} -t 0`].join('\n'),
    )
    return
  }
  await waitForOperation(session, leader, { opid, title, event: cmd }, { deadline })
  await checkGone(leader, going, cmd)
  output.result(result(true, 'deleted'), () => `${output.colours.good('Deleted:')}\n${lines}`)
}

/** An agent may decide otherwise than the CLI (what became needed meanwhile): that is no success. */
export async function checkGone(leader: MongoClient, going: Going, cmd: string): Promise<void> {
  const left: string[] = []
  for (const { name } of going.backups) if ((await findBackup(leader, name)) !== undefined) left.push(name)
  const stored = new Set(going.chunks.length === 0 ? [] : (await listChunks(leader)).map(({ fname }) => fname))
  for (const { fname } of going.chunks) if (stored.has(fname)) left.push(fname)
  if (left.length > 0)
    throw new PbmError('NOT_DELETED', `not deleted: ${left.join(', ')}`, { hint: `See pbm logs -e ${cmd}.` })
}
