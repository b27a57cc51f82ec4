import type { Random } from '@pbmkit/conformance/testbed'
import type { RestoreCommand } from '../../control/command-document.js'
import { pick } from './forged-entries.support.js'

/** What a restore is asked for, beside the backup and the time. */
export interface Ask {
  readonly title: string
  readonly command: Partial<RestoreCommand>
  /** Of a part: whether a namespace may be changed by it. Undefined where all that the backup has is restored. */
  readonly touches?: (ns: string) => boolean
}

const WHOLE: Ask = { title: 'whole', command: {} }

function ofNamespaces(nss: string[], more: Partial<RestoreCommand> = {}): Ask {
  const touches = (ns: string) => {
    if (more.usersAndRoles === true && /^(user|role)\.$/.test(ns)) return true
    const user = ns.replace('.system.buckets.', '.')
    return nss.some((one) => one === user || (one.endsWith('.*') && user.startsWith(one.slice(0, -1))))
  }
  return { title: `${nss.join(' ')} ${Object.keys(more).join(' ')}`.trim(), command: { nss, ...more }, touches }
}

function beside(nsFrom: string, nsTo: string, more: Partial<RestoreCommand> = {}): Ask {
  return { title: `${nsFrom} as ${nsTo}`, command: { nsFrom, nsTo, ...more }, touches: (ns) => ns === nsTo }
}

const OF_SETS: readonly Ask[] = [
  ofNamespaces(['shop.orders']),
  ofNamespaces(['shop.weather']),
  ofNamespaces(['shop.*']),
  ofNamespaces(['shop.*'], { usersAndRoles: true }),
  ofNamespaces(['shop.orders'], { keepExisting: true }),
  ofNamespaces(['shop.orders'], { keepExisting: true, query: '{"_id":{"$type":"string"}}' }),
  beside('shop.orders', 'shop.copy'),
  {
    title: 'shop as then',
    command: { pairs: [{ from: 'shop.*', to: 'then.*' }] },
    touches: (ns) => ns.startsWith('then.'),
  },
  { title: 'without users', command: { withoutUsersAndRoles: true } },
]
const SWAPPED = { s1: 's2', s2: 's1' }
const OF_CLUSTERS: readonly Ask[] = [
  ofNamespaces(['bank.accounts']),
  ofNamespaces(['bank.*']),
  ofNamespaces(['side.*']),
  beside('bank.accounts', 'bank.copy'),
  {
    title: 'bank as then',
    command: { pairs: [{ from: 'bank.*', to: 'then.*' }] },
    touches: (ns) => ns.startsWith('then.'),
  },
  // The users of one shard on the other would end the sessions of whoever looks at the outcome: they have other ids there.
  { title: 'shards swapped', command: { rsMap: SWAPPED, withoutUsersAndRoles: true } },
  beside('bank.accounts', 'bank.copy', { rsMap: SWAPPED }),
  { title: 'without users', command: { withoutUsersAndRoles: true } },
]

/** Half of them of the whole. */
export function randomAsk(random: Random, isSharded: boolean): Ask {
  return random(2) === 0 ? WHOLE : pick(random, isSharded ? OF_CLUSTERS : OF_SETS)
}
