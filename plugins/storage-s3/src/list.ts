import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3'
import type { ObjectInfo } from '@pbmkit/core/plugin'
import type { Keys, Operation } from '@pbmkit/core/plugin/kit'
import { type Place, retried } from './place.js'

/** Objects whose names begin with `prefix`, page by page, the next one asked for while this one is used. */
export async function* listObjects(
  place: Place,
  keys: Keys,
  prefix: string,
  operation: Operation,
): AsyncGenerator<ObjectInfo> {
  const keyPrefix = keys.keyPrefixOf(prefix)
  if (keyPrefix === undefined) return
  const page = (token?: string): Promise<ListObjectsV2CommandOutput> => {
    const asked = retried(place, operation, () =>
      place.client.send(
        new ListObjectsV2Command({
          Bucket: place.bucket,
          // Names may hold what XML can't.
          EncodingType: 'url',
          ...(keyPrefix === '' ? {} : { Prefix: keyPrefix }),
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
        { abortSignal: operation.signal },
      ),
    )
    // Its failure is told when it is its turn; a reader may break off before.
    asked.catch(() => undefined)
    return asked
  }
  for (let asked: Promise<ListObjectsV2CommandOutput> | undefined = page(); asked !== undefined; ) {
    const listed: ListObjectsV2CommandOutput = await asked
    const { Contents = [], NextContinuationToken, IsTruncated, EncodingType } = listed
    asked = IsTruncated === true && NextContinuationToken !== undefined ? page(NextContinuationToken) : undefined
    for (const { Key = '', Size = 0, LastModified } of Contents) {
      const name = keys.nameOf(EncodingType === 'url' ? decoded(Key) : Key)
      if (name !== undefined) yield { name, size: Size, modifiedAt: LastModified ?? new Date(0) }
    }
  }
}

/** As forms are encoded: a plus is a space. Some servers leave single characters as they are, a percent sign never. */
function decoded(key: string): string {
  const text = key.replaceAll('+', ' ')
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
