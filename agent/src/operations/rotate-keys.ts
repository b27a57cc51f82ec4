import {
  type Ciphers,
  errorText,
  listProfiles,
  noteRotation,
  PbmError,
  type RotationFigures,
  type RotationRecord,
  recordKeys,
  rotateKeys,
  type StorageConfig,
} from '@pbmkit/core'
import { ciphersOf, withStore } from '../storages.js'
import type { OperationContext } from './context.js'
import { onOneLeaderMember } from './lead-only.js'
import { requireSameKeys } from './same-keys.js'

/** Between two notes of how far it is. */
const NOTE_MS = 1000

/** The main storage and those of all profiles: one key protects them all. */
export async function runRotateKeys(context: OperationContext): Promise<void> {
  const { command } = context
  if (command.cmd !== 'rotateKeys') return
  const { dryRun } = command.rotateKeys
  // Every agent answers, also those that don't rotate. Who rotates is to be seen at once, however long a key takes.
  const answered = context
    .answerWithKeys(context.config.encryption, context.opid)
    .catch((error: unknown) => context.log.warning(`the others don't know which keys are here: ${errorText(error)}`))
  await onOneLeaderMember(context, 'rotateKeys', (signal, held) => rotateAll(held, dryRun, signal))
  await answered
}

async function rotateAll(context: OperationContext, dryRun: boolean, signal: AbortSignal): Promise<void> {
  const { leader, config, log } = context
  const ciphers = ciphersOf(context)
  const { method, keyIds, silent } = await sealingKeys(context, ciphers, signal)
  for (const member of silent) {
    log.warning(`no live agent on ${member}: see to it that key ${keyIds.join(', ')} is there too before one starts`)
  }
  const notes = new Notes(context, { keyId: keyIds.join(','), dryRun, silent })
  const rotate = (storage: StorageConfig, profile: string | null) =>
    withStore(
      context,
      async (store) => {
        const onProgress = notes.onStorage()
        const rotation = await rotateKeys({ store, ciphers, keyIds, dryRun, onProgress, signal })
        onProgress({ ...rotation, unreadable: rotation.unreadable.length })
        for (const { object, reason } of rotation.unreadable) log.warning(`${object} stays as it is: ${reason}`)
        const { scopes } = rotation
        if (!dryRun) await recordKeys({ leader, store, ciphers, profile, method, keyIds, scopes, signal })
      },
      storage,
    )
  await rotate(config.storage, null)
  for (const { name, storage } of await listProfiles(leader)) {
    await rotate(storage, name).catch((cause: unknown) => {
      signal.throwIfAborted()
      throw new PbmError('PROFILE_NOT_ROTATED', `the storage of profile ${name}: ${errorText(cause)}`, {
        hint: 'the older keys are needed there until you have rotated again',
        cause,
      })
    })
  }
  const { keys, rewrapped, current, unreadable } = notes.figures
  log.info(
    `${keys} key objects for key ${keyIds.join(', ')}: ${rewrapped} ${dryRun ? 'to be rewrapped (dry run)' : 'rewrapped'}, ${current} as they were, ${unreadable} unreadable`,
  )
  if (unreadable > 0) {
    throw new PbmError('KEYS_UNREADABLE', `${unreadable} of ${keys} key objects open with none of the keys at hand`, {
      hint: 'put the older keys behind the new one and rotate again; the warnings in the log name the objects',
    })
  }
  await notes.end()
}

/**
 * The method and the ids of the keys to seal with, after every agent that lives has said that it has the same, and who
 * could not be asked; none where `rotateKeys` will refuse.
 */
async function sealingKeys(
  context: OperationContext,
  ciphers: Ciphers,
  signal: AbortSignal,
): Promise<{ method: string; keyIds: readonly string[]; silent: readonly string[] }> {
  const current = await ciphers.current()
  if (current?.cipher.wrapsKeys !== true) return { method: '', keyIds: [], silent: [] }
  const [method, ids] = [current.name, [...current.cipher.keyIds]]
  return { method, keyIds: ids, silent: await requireSameKeys(context, { method, ids }, signal) }
}

/** Tells in `pbmOpLog` how far the rotation is and how it ended. */
class Notes {
  readonly #context: OperationContext
  readonly #about: Pick<RotationRecord, 'keyId' | 'dryRun' | 'silent' | 'startedAt'>
  readonly #storages: RotationFigures[] = []
  #due: number
  #writing: Promise<void> = Promise.resolve()

  constructor(context: OperationContext, about: Pick<RotationRecord, 'keyId' | 'dryRun' | 'silent'>) {
    const startedAt = context.clock.now()
    this.#context = context
    this.#about = { ...about, startedAt }
    this.#due = startedAt + NOTE_MS
  }

  /** The sums over all storages so far. */
  get figures(): RotationFigures {
    const sum = (field: keyof RotationFigures) => this.#storages.reduce((total, one) => total + one[field], 0)
    return {
      keys: sum('keys'),
      rewrapped: sum('rewrapped'),
      current: sum('current'),
      unreadable: sum('unreadable'),
    }
  }

  /** What takes the figures of one more storage. */
  onStorage(): (figures: RotationFigures) => void {
    const index = this.#storages.length
    return (figures) => {
      this.#storages[index] = figures
      if (this.#context.clock.now() < this.#due) return
      this.#due = this.#context.clock.now() + NOTE_MS
      // Progress is no reason to fail, nor to wait.
      const text = (error: unknown) => this.#context.log.debug(`progress was not noted: ${errorText(error)}`)
      this.#writing = this.#writing.then(() => this.#note(false)).catch(text)
    }
  }

  async end(): Promise<void> {
    await this.#writing
    await this.#note(true)
  }

  async #note(done: boolean): Promise<void> {
    const { leader, opid, self, clock } = this.#context
    const rotation = { ...this.figures, ...this.#about, done, updatedAt: clock.now() }
    await noteRotation(leader, { opid, replset: self.rs }, rotation)
  }
}
