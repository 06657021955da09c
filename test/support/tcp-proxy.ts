import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

/** What a proxy does to the bytes that pass. Changes act on open connections too. */
export interface ProxyFaults {
  /** For each direction of all connections together; absent: as fast as it goes. */
  readonly bytesPerSecond?: number;
  /** Added to every piece on its way to the target. */
  readonly latencyMs?: number;
}

/** A TCP proxy on 127.0.0.1 in front of one server, with faults for tests. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: { readonly host: string; readonly port: number };
  readonly #buckets = { up: new TokenBucket(), down: new TokenBucket() };
  #faults: ProxyFaults = {};
  #refusing = false;

  private constructor(target: URL) {
    this.#target = { host: target.hostname, port: Number(target.port) };
    this.#server = createServer((client) => this.#accept(client));
  }

  static async start(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(new URL(target));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is closed");
    return `http://127.0.0.1:${address.port}`;
  }

  set faults(faults: ProxyFaults) {
    this.#faults = faults;
    for (const bucket of Object.values(this.#buckets)) bucket.bytesPerSecond = faults.bytesPerSecond;
  }

  /** Resets every open connection. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Resets every connection, and each new one until `mend`. */
  cut(): void {
    this.#refusing = true;
    this.reset();
  }

  mend(): void {
    this.#refusing = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ ...this.#target, noDelay: true });
    client.setNoDelay(true);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => other.resetAndDestroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroySoon();
      });
    }
    client.pipe(this.#slow(this.#buckets.up)).pipe(server);
    server.pipe(this.#slow(this.#buckets.down)).pipe(client);
  }

  #slow(bucket: TokenBucket): Transform {
    return new Transform({
      highWaterMark: PIECE_BYTES,
      transform: (chunk: Buffer, _encoding, done) => {
        const waitMs = bucket.take(chunk.length) + (this.#faults.latencyMs ?? 0);
        if (waitMs === 0) done(null, chunk);
        else void sleep(waitMs).then(() => done(null, chunk));
      },
    });
  }
}

const PIECE_BYTES = 65_536;

/** Shares a rate between all who take from it: each is told how long to wait for its turn. */
class TokenBucket {
  bytesPerSecond: number | undefined;
  #freeAtMs = 0;

  take(bytes: number): number {
    if (this.bytesPerSecond === undefined) return 0;
    const nowMs = performance.now();
    const startMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = startMs + (bytes / this.bytesPerSecond) * 1000;
    return this.#freeAtMs - nowMs;
  }
}
