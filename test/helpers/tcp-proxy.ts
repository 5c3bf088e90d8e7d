import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and a server, and breaks the connection in the ways that networks do. */
export class TcpProxy implements AsyncDisposable {
  readonly url: string;
  /** Where new connections go: a URL with host and port. */
  target: string;
  readonly #server: Server;
  readonly #pairs: Set<[Socket, Socket]>;
  #isFrozen = false;
  /** Sees what a client sends, before the server does; what is true is swallowed. */
  onRequest: (data: Buffer) => boolean = () => false;
  /** Sees what a server answers, before the client does; what is true is swallowed. */
  onReply: (data: Buffer) => boolean = () => false;

  private constructor(server: Server, pairs: Set<[Socket, Socket]>, port: number, target: string) {
    this.target = target;
    this.#server = server;
    this.#pairs = pairs;
    this.url = `redis://127.0.0.1:${port}`;
  }

  /** @param target a URL with host and port */
  static async start(target: string): Promise<TcpProxy> {
    const pairs = new Set<[Socket, Socket]>();
    const server = createServer((client) => {
      const { hostname, port } = new URL(proxy.target);
      const upstream = connect(Number(port), hostname);
      const pair: [Socket, Socket] = [client, upstream];
      pairs.add(pair);
      if (proxy.#isFrozen) for (const socket of pair) socket.pause();
      client.on('data', (data) => proxy.onRequest(data) || upstream.write(data));
      upstream.on('data', (data) => proxy.onReply(data) || client.write(data));
      for (const socket of pair) {
        socket
          .on('error', () => {})
          .on('close', () => {
            pairs.delete(pair);
            for (const end of pair) end.destroy();
          });
      }
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const proxy = new TcpProxy(server, pairs, address.port, target);
    return proxy;
  }

  /** Nothing gets through in either direction, and nobody is told. */
  freeze(): void {
    this.#isFrozen = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  thaw(): void {
    this.#isFrozen = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await once(this.#server, 'close');
  }
}
