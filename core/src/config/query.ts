import { BSON } from 'bson'
import { fromExtendedJson } from '../bson/extended-json.js'
import { errorText, PbmError } from '../errors.js'

/** Of any text in a command, this one too. */
export const MOST_CHARACTERS = 4096

/** They need an index, which the documents don't have that are looked through; or would run a script in the server. */
const REFUSED: ReadonlySet<string> = new Set([
  ...['$text', '$near', '$nearSphere', '$geoNear'],
  ...['$where', '$function', '$accumulator'],
])

/** A filter, as `find` takes it, from Extended JSON. Throws `QUERY_INVALID`; what only the server knows, it refuses later. */
export function parseQuery(text: string): Buffer {
  // No agent takes a command up that has a longer one, and nobody would hear why.
  if (text.length > MOST_CHARACTERS)
    throw queryInvalid(`it has ${text.length} characters, and at most ${MOST_CHARACTERS} are taken`)
  let filter: Buffer
  try {
    filter = fromExtendedJson(text, { uniqueKeys: true })
  } catch (error) {
    throw queryInvalid(errorText(error))
  }
  const refused = [...namesIn(BSON.deserialize(filter))].find((name) => REFUSED.has(name))
  if (refused !== undefined) throw queryInvalid(`${refused} can't be used here`)
  return filter
}

export function queryInvalid(why: string, cause?: unknown): PbmError {
  return new PbmError('QUERY_INVALID', `The query is not right: ${why}`, {
    hint: 'Write a filter as find takes it, in Extended JSON: {"city": "Oslo", "at": {"$gte": {"$date": "2031-02-07T00:00:00Z"}}}',
    ...(cause === undefined ? {} : { cause }),
  })
}

function* namesIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return
  for (const [name, inner] of Object.entries(value)) {
    yield name
    yield* namesIn(inner)
  }
}
