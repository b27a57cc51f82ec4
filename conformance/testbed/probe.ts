import { connect } from 'node:net'
import { type Document, MongoClient } from 'mongodb'

/** Whether anything accepts connections on this port of 127.0.0.1. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1_000 })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}

/**
 * The reply to `hello`, or undefined when the server gives none within a second. A new client each time: the
 * driver closes a client for good when its first connection fails.
 */
export async function hello(uri: string): Promise<Document | undefined> {
  const client = new MongoClient(uri, {
    serverSelectionTimeoutMS: 1_000,
    connectTimeoutMS: 1_000,
    socketTimeoutMS: 1_000,
  })
  return client
    .db('admin')
    .command({ hello: 1 })
    .catch(() => undefined)
    .finally(() => client.close())
}
