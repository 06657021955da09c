import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

/** What a proxy does to the bytes that pass. Changes act on open connections too. */
export interface ProxyFaults {
  /** For each direction of all connections together; absent: as fast as it goes. */
  readonly bytesPerSecond?: number;
  /** Added to every piece on its way. */
  readonly latencyMs?: number;
  /** Added to some of the pieces, besides; `moreMs` is drawn for each between 0 and this, and added. */
  readonly spikes?: { readonly share: number; readonly latencyMs: number; readonly moreMs?: number };
  /** Added to every piece of a connection, drawn for it between 0 and this: requests overtake each other. */
  readonly unevenMs?: number;
  /** Connections are reset after about this many bytes from the target. */
  readonly breakAfterBytes?: number;
  /** Connections are reset after about this many bytes to the target. */
  readonly breakUpAfterBytes?: number;
  /** Share of the pieces from the target in which a byte is changed. */
  readonly corruptShare?: number;
  /** Requests that it answers by itself, the first of each connection at least; the others pass. */
  readonly answer?: {
    readonly methods: RegExp;
    /** Only those whose path it matches; all of them when absent. */
    readonly paths?: RegExp;
    readonly status: string;
    readonly code: string;
  };
}

/** A TCP proxy on 127.0.0.1 in front of one server, with faults for tests. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: { readonly host: string; readonly port: number };
  readonly #buckets = { up: new TokenBucket(), down: new TokenBucket() };
  readonly #random: () => number;
  #faults: ProxyFaults = {};
  #refusing = false;

  private constructor(target: URL, random: () => number) {
    this.#random = random;
    this.#target = addressOf(target);
    this.#server = createServer((client) => this.#accept(client));
  }

  /** @param random draws what faults leave to chance, from 0 to 1 */
  static async start(target: string, random: () => number = Math.random): Promise<TcpProxy> {
    const proxy = new TcpProxy(new URL(target), random);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is closed");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Where new connections go from now on. */
  set target(url: string) {
    this.#target = addressOf(new URL(url));
  }

  set faults(faults: ProxyFaults) {
    this.#faults = faults;
    for (const bucket of Object.values(this.#buckets)) bucket.bytesPerSecond = faults.bytesPerSecond;
  }

  /** Resets every open connection. */
  reset(): void {
    for (const socket of this.#sockets) drop(socket);
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
      socket.on("error", () => {
        drop(other);
      });
      socket.on("close", () => {
        this.#sockets.delete(socket);
        if (!other.destroyed) other.destroySoon();
      });
    }
    const unevenMs = this.#random();
    client
      .pipe(this.#answering(client))
      .pipe(this.#breaking(client))
      .pipe(this.#slow(this.#buckets.up, unevenMs))
      .pipe(server);
    server.pipe(this.#damaging(client)).pipe(this.#slow(this.#buckets.down, unevenMs)).pipe(client);
  }

  /** @param uneven what was drawn for the connection, from 0 to 1 */
  #slow(bucket: TokenBucket, uneven: number): Transform {
    return new Transform({
      highWaterMark: PIECE_BYTES,
      transform: (chunk: Buffer, _encoding, done) => {
        const { latencyMs = 0, unevenMs = 0, spikes } = this.#faults;
        const spikeMs =
          spikes !== undefined && this.#random() < spikes.share
            ? spikes.latencyMs + this.#random() * (spikes.moreMs ?? 0)
            : 0;
        const waitMs = bucket.take(chunk.length) + latencyMs + uneven * unevenMs + spikeMs;
        if (waitMs === 0) done(null, chunk);
        else void sleep(waitMs).then(() => done(null, chunk));
      },
    });
  }

  /** Answers a request by itself where it begins with one that is to be answered so. */
  #answering(client: Socket): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const { answer } = this.#faults;
        const [, method, path = ""] = /^([A-Z]+) (\/\S*)/.exec(chunk.toString("latin1", 0, 1_024)) ?? [];
        if (answer === undefined || method === undefined || !answer.methods.test(method)) return done(null, chunk);
        if (answer.paths?.test(path) === false) return done(null, chunk);
        const body = `<?xml version="1.0"?><Error><Code>${answer.code}</Code><Message>a fault</Message></Error>`;
        const head = `HTTP/1.1 ${answer.status}\r\ncontent-type: application/xml\r\nconnection: close`;
        client.end(`${head}\r\ncontent-length: ${body.length}\r\n\r\n${method === "HEAD" ? "" : body}`);
        done();
      },
    });
  }

  #breaking(client: Socket): Transform {
    let passed = 0;
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const { breakUpAfterBytes } = this.#faults;
        passed += chunk.length;
        if (breakUpAfterBytes !== undefined && passed > breakUpAfterBytes) drop(client);
        done(null, chunk);
      },
    });
  }

  #damaging(client: Socket): Transform {
    let passed = 0;
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const { breakAfterBytes, corruptShare = 0 } = this.#faults;
        passed += chunk.length;
        if (breakAfterBytes !== undefined && passed > breakAfterBytes) drop(client);
        if (this.#random() >= corruptShare) return done(null, chunk);
        const damaged = Buffer.from(chunk);
        const at = Math.floor(this.#random() * damaged.length);
        damaged[at] = (damaged[at] ?? 0) ^ 0x20;
        done(null, damaged);
      },
    });
  }
}

const PIECE_BYTES = 65_536;

function addressOf({ hostname, port }: URL): { readonly host: string; readonly port: number } {
  return { host: hostname, port: Number(port) };
}

/** Resets a connection. Neither one that is not there yet nor one that is gone can be reset: its handle would stay. */
function drop(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.readyState === "open") socket.resetAndDestroy();
  else socket.destroy();
}

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
