import type { ErrorReport } from '../../errors.js'

/** The server said no, or could not be reached. */
export class RequestError extends Error {
  constructor(
    readonly report: ErrorReport,
    readonly status: number,
  ) {
    super(report.Error)
  }
}

export function get<Answer>(path: string, query: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const search = new URLSearchParams(query).toString()
  return answer(fetch(search === '' ? path : `${path}?${search}`, { headers: { accept: 'application/json' } }))
}

export function post<Answer>(path: string, body: object): Promise<Answer> {
  return answer(
    fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  )
}

async function answer<Answer>(request: Promise<Response>): Promise<Answer> {
  const response = await request.catch(() => {
    throw new RequestError({ Error: 'pbm web does not answer: does it still run?', code: 'ERROR' }, 0)
  })
  const value: unknown = await response.json()
  if (!response.ok) throw new RequestError(value as ErrorReport, response.status)
  return value as Answer
}

/** Any failure of a request, to be shown. */
export function reportOf(error: unknown): ErrorReport {
  return error instanceof RequestError ? error.report : { Error: String(error), code: 'ERROR' }
}
