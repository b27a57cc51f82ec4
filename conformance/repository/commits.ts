import { spawnSync } from 'node:child_process'

/** Commits after this one keep to the rules; older ones do not all. */
const BASE = { commit: '9184a59b0dd9b911367cf394d4a4fb1ddf405057', date: '2026-11-30T19:20:00Z' }
const MOST = 71

/** `<hash> <subject>` of every commit that has to keep to the rules, merges left out. */
export function subjectsSinceBase(root: string): string[] {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  // A shallow clone may lack it; then the time of a commit says enough.
  const isKnown = git('merge-base', '--is-ancestor', BASE.commit, 'HEAD').status === 0
  const range = isKnown ? [`${BASE.commit}..HEAD`] : [`--since=${BASE.date}`, 'HEAD']
  const { status, stdout, stderr } = git('log', '--no-merges', '--format=%h %s', ...range)
  if (status !== 0) throw new Error(`git log failed: ${stderr}`)
  return stdout.split('\n').filter((line) => line !== '')
}

/** Words that begin a sentence which is no request. Verbs are not looked up, so this finds only the usual slips. */
const NO_VERB =
  /^(A|An|The|This|That|These|Those|It|Its|One|Two|No|Not|Now|What|When|Where|Who|Why|How|Which|Every|Each|All|Some|More|Other|In|On|At|By|Of|For|From|With|Without|After|Before|Also|New|There|Here|Docs?)$/
const ENDS_LIKE_VERB = /(?:[^s]s|ed|ing)$/
const VERBS =
  /^(?:Alias|Bias|Bring|Canvas|Embed|Exceed|Feed|Focus|Heed|Need|Ping|Proceed|Seed|Shed|Speed|Spring|String|Succeed|Swing)$/

/** What is wrong with the subject of a commit. */
export function subjectFault(subject: string): string | undefined {
  if (subject.length > MOST) return `has ${subject.length} characters; at most ${MOST}`
  // Where it is may stand before it: `Agent: take its memory settings itself`.
  const request = subject.replace(/^[A-Z][A-Za-z0-9-]*: /, '')
  const [word = ''] = request.split(' ')
  if (word.endsWith(':')) return `begins with the label "${word}"; say what to do and where`
  const first = request === subject ? word : `${word.charAt(0).toUpperCase()}${word.slice(1)}`
  if (!/^[A-Z][a-z-]+$/.test(first)) return `begins with "${word}"; the first word is a verb, written large`
  if (NO_VERB.test(first) || (ENDS_LIKE_VERB.test(first) && !VERBS.test(first)))
    return `begins with "${word}"; write what the commit does as a request ("Add", not "Added" or "Adds")`
  if (subject.endsWith('.')) return 'ends with a full stop'
  return undefined
}
