import { isPrintable, MAIN_PROFILE, PbmError } from '@pbmkit/core'

/** Throws COMMAND_INVALID for what no profile may be called. */
export function refuseProfileName(name: string): void {
  if (name === MAIN_PROFILE) {
    throw new PbmError('COMMAND_INVALID', `a profile can't be called ${name}: that stands for the main storage`)
  }
  if (!isPrintable(name)) throw new PbmError('COMMAND_INVALID', 'the name of a profile has control characters')
}
