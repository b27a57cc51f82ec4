import { styleText } from 'node:util'

/** Paints text, or leaves it alone where the stream is no terminal or the user asked for none. */
export interface Colours {
  strong(text: string): string
  good(text: string): string
  bad(text: string): string
  caution(text: string): string
  quiet(text: string): string
}

/** Colours only on a terminal; `NO_COLOR` (any non-empty value) and `TERM=dumb` switch them off. */
export function coloursFor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): Colours {
  const on = stream.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  const paint = (format: Parameters<typeof styleText>[0]) => (text: string) =>
    on ? styleText(format, text, { validateStream: false }) : text
  return {
    strong: paint('bold'),
    good: paint('green'),
    bad: paint('red'),
    caution: paint('yellow'),
    quiet: paint('dim'),
  }
}
