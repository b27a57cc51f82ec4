import type { ObjectInfo } from '@pbmkit/core/plugin'
import type { Keys } from '@pbmkit/core/plugin/kit'
import { foundOf, type Place, type Resource } from './place.js'

const PAGE = 1000

interface Page {
  readonly items: readonly Resource[]
  readonly nextToken: string | undefined
}

/** Objects whose names begin with `prefix`, page by page, the next one asked for while this one is used. */
export async function* listObjects(place: Place, keys: Keys, prefix: string): AsyncGenerator<ObjectInfo> {
  const keyPrefix = keys.keyPrefixOf(prefix)
  if (keyPrefix === undefined) return
  const ask = (pageToken?: string): Promise<Page> => {
    const asked = page(place, keyPrefix, pageToken)
    // Its failure is told when it is its turn; a reader may break off before.
    asked.catch(() => undefined)
    return asked
  }
  for (let asked: Promise<Page> | undefined = ask(); asked !== undefined; ) {
    const { items, nextToken }: Page = await asked
    asked = nextToken === undefined ? undefined : ask(nextToken)
    for (const item of items) {
      const name = keys.nameOf(item.name ?? '')
      if (name !== undefined) yield { name, ...foundOf(item) }
    }
  }
}

async function page({ client }: Place, prefix: string, pageToken: string | undefined): Promise<Page> {
  const [items, next] = await client.bucket.getFiles({
    autoPaginate: false,
    maxResults: PAGE,
    fields: 'items(name,size,updated),nextPageToken',
    ...(prefix === '' ? {} : { prefix }),
    ...(pageToken === undefined ? {} : { pageToken }),
  })
  // With `fields` it gives what the server said, and no file objects.
  const nextToken = (next as { pageToken?: string } | null | undefined)?.pageToken
  return { items: items as unknown as Resource[], nextToken }
}
