import { spawn } from 'node:child_process'

/**
 * Tells systemd of a state (`Type=notify`). Node has no datagram sockets in the file system, so systemd's own tool sends
 * it; without `NOTIFY_SOCKET` nothing happens.
 */
export function notifySystemd(state: 'READY=1' | 'STOPPING=1'): void {
  if (process.env.NOTIFY_SOCKET === undefined) return
  spawn('systemd-notify', [`--pid=${process.pid}`, state], { stdio: 'ignore' }).on('error', () => undefined)
}
