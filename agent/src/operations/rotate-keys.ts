import { listProfiles, PbmError, recordKeys, rotateKeys, rotationText, type StorageConfig } from '@pbmkit/core'
import { ciphersOf, type OperationContext, withStore } from './context.js'
import { onOneLeaderMember } from './lead-only.js'

/** The main storage and those of all profiles: one key protects them all. */
export async function runRotateKeys(context: OperationContext): Promise<void> {
  const { command, leader, config, log } = context
  if (command.cmd !== 'rotateKeys') return
  const { dryRun } = command.rotateKeys
  await onOneLeaderMember(context, 'rotateKeys', async (signal) => {
    const ciphers = ciphersOf(context)
    const total = { keys: 0, rewrapped: 0, current: 0, unreadable: 0 }
    const rotate = (storage: StorageConfig, profile: string | null) =>
      withStore(
        context,
        async (store) => {
          const rotation = await rotateKeys({ store, ciphers, log, dryRun, signal })
          for (const { object, reason } of rotation.unreadable) log.warning(`${object} stays as it is: ${reason}`)
          const method = await ciphers.current()
          if (method !== undefined && !dryRun) {
            const { name, cipher } = method
            const { scopes } = rotation
            await recordKeys({ leader, store, profile, method: name, keyIds: cipher.keyIds, scopes, signal })
          }
          total.keys += rotation.keys
          total.rewrapped += rotation.rewrapped
          total.current += rotation.current
          total.unreadable += rotation.unreadable.length
        },
        storage,
      )
    await rotate(config.storage, null)
    for (const { name, storage } of await listProfiles(leader)) await rotate(storage, name)
    log.info(rotationText({ ...total, keyId: (await ciphers.current())?.cipher.keyIds.join(',') ?? '', dryRun }))
    if (total.unreadable > 0) {
      throw new PbmError(
        'KEYS_UNREADABLE',
        `${total.unreadable} of ${total.keys} key objects open with none of the keys at hand`,
        { hint: 'put the older keys behind the new one and rotate again; the warnings in the log name the objects' },
      )
    }
  })
}
