import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A way to a server that can be cut: connections stay open, and nothing passes. */
export interface BreakableNetwork {
  /** The address of the server by this way. */
  readonly url: string
  readonly cut: () => void
  readonly heal: () => void
  readonly close: () => void
}

/** @param url the address of a server on this machine, such as redis://127.0.0.1:6379 */
export async function breakableNetwork(url: string): Promise<BreakableNetwork> {
  const address = new URL(url)
  const server = { host: address.hostname, port: Number(address.port) }
  const sockets = new Set<Socket>()
  let isCut = false
  const entry = createServer((from) => {
    const to = connect(server)
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(socket)
      socket.on('data', (data) => other.write(data))
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      if (isCut) socket.pause()
    }
  })
  entry.listen(0, '127.0.0.1')
  await once(entry, 'listening')
  address.port = String((entry.address() as AddressInfo).port)
  return {
    url: address.href,
    cut: () => {
      isCut = true
      for (const socket of sockets) socket.pause()
    },
    heal: () => {
      isCut = false
      for (const socket of sockets) socket.resume()
    },
    close: () => {
      entry.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
