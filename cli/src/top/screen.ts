import type { Io } from '../io.js'

const ESC = String.fromCharCode(0x1b)
/** A screen of its own, without a cursor, on which long lines are cut. */
const ENTER = `${ESC}[?1049h${ESC}[?25l${ESC}[?7l`
const LEAVE = `${ESC}[?7h${ESC}[?25h${ESC}[?1049l`

/** In raw mode Ctrl-C is a key like any other. */
const QUITS = ['q', 'Q', String.fromCharCode(3)]

type Keyboard = Io['stdin'] & { setRawMode?(on: boolean): unknown }

/**
 * Draws on the whole terminal while `work` goes on. Its signal aborts when `q` or Ctrl-C is pressed, or the process is to end;
 * the terminal is then as it was.
 */
export async function onScreen(
  io: Io,
  work: (screen: { readonly signal: AbortSignal; draw(text: string): void }) => Promise<void>,
): Promise<void> {
  const keyboard: Keyboard = io.stdin
  const quit = new AbortController()
  const onKey = (key: Buffer | string) => {
    if ([...String(key)].some((one) => QUITS.includes(one))) quit.abort()
  }
  const draw = (text: string) => {
    const { rows } = io.stdout as { readonly rows?: number }
    const lines = text.split('\n').slice(0, rows ?? Number.POSITIVE_INFINITY)
    io.stdout.write(`${ESC}[H${lines.map((line) => `${line}${ESC}[K`).join('\n')}${ESC}[J`)
  }
  keyboard.setRawMode?.(true)
  keyboard.on('data', onKey)
  io.stdout.write(ENTER)
  try {
    await work({ signal: AbortSignal.any([quit.signal, io.signal]), draw })
  } finally {
    io.stdout.write(LEAVE)
    keyboard.off('data', onKey)
    keyboard.setRawMode?.(false)
    keyboard.pause()
  }
}
