/** An HTTP proxy in front of one server that does to requests what a TCP proxy cannot: it knows where they begin and end. */
import { once } from "node:events";
import {
  Agent,
  createServer,
  type IncomingMessage,
  type RequestOptions,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export type Meddling = "reorder" | "repeat" | "old-listing";

/** Requests that are held before they go on, the last one first, and for how long at most. */
const HELD_MAX = 4;
const HELD_MS = 150;
/** Larger bodies are not repeated. */
const REPEATED_BYTES_MAX = 1024 * 1024;
const REPEATED_SHARE = 0.5;
const REPEATED_AFTER_MS = 3_000;
const LISTINGS_MAX = 1_000;

interface Listing {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

export class Meddler implements AsyncDisposable {
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #target: URL;
  readonly #how: Meddling;
  readonly #random: () => number;
  readonly #listings = new Map<string, Listing>();
  readonly #repeats = new Set<Promise<void>>();
  #held: (() => void)[] = [];
  #release: NodeJS.Timeout | undefined;
  #old = false;

  private constructor(target: string, how: Meddling, random: () => number) {
    this.#target = new URL(target);
    this.#how = how;
    this.#random = random;
    this.#server = createServer((asked, answer) => void this.#take(asked, answer));
  }

  /** @param random draws what it leaves to chance, from 0 to 1 */
  static async start(target: string, how: Meddling, random: () => number): Promise<Meddler> {
    const meddler = new Meddler(target, how, random);
    meddler.#server.listen(0, "127.0.0.1");
    await once(meddler.#server, "listening");
    return meddler;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is closed");
    return `http://127.0.0.1:${address.port}`;
  }

  get listings(): number {
    return this.#listings.size;
  }

  /** From now on listings are answered as they were answered before. */
  growOld(): void {
    this.#old = true;
  }

  /** What is to be repeated is repeated before it resolves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#goOn();
    this.#server.close();
    this.#server.closeAllConnections();
    await Promise.all(this.#repeats);
    this.#agent.destroy();
  }

  async #take(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const isListing = asked.method === "GET" && asked.url?.includes("list-type=2") === true;
    const before = isListing && this.#old ? this.#listings.get(asked.url ?? "") : undefined;
    if (before !== undefined) {
      asked.resume();
      answer.writeHead(before.status, [...before.headers]).end(before.body);
      return;
    }
    if (this.#how === "reorder") await this.#turn();
    this.#forward(asked, answer, isListing && this.#how === "old-listing");
  }

  /** Resolves when it is a request's turn: those that are held go on the last one first. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#held.push(resolve);
      if (this.#held.length >= HELD_MAX) this.#goOn();
      else this.#release ??= setTimeout(() => this.#goOn(), HELD_MS);
    });
  }

  #goOn(): void {
    clearTimeout(this.#release);
    this.#release = undefined;
    for (const go of this.#held.splice(0).reverse()) go();
  }

  #forward(asked: IncomingMessage, answer: ServerResponse, keepsAnswer: boolean): void {
    const sent = request(this.#requestLike(asked));
    const fail = (): void => {
      answer.destroy();
      sent.destroy();
    };
    sent.on("error", fail);
    asked.on("error", fail);
    answer.on("close", () => {
      if (!answer.writableFinished) sent.destroy();
    });
    sent.on("response", (answered) => {
      answered.on("error", fail);
      answer.writeHead(answered.statusCode ?? 502, answered.rawHeaders);
      if (keepsAnswer) this.#keep(asked.url ?? "", answered);
      answered.pipe(answer);
    });
    if (this.#how === "repeat" && this.#isRepeated(asked)) this.#repeatLater(asked, sent);
    asked.pipe(sent);
  }

  #requestLike(asked: IncomingMessage): RequestOptions {
    const { method, url: path } = asked;
    const { hostname: host, port } = this.#target;
    // As they came: they are signed.
    return { host, port, method, path, headers: asked.rawHeaders, agent: this.#agent };
  }

  #keep(url: string, answered: IncomingMessage): void {
    const chunks: Buffer[] = [];
    answered.on("data", (chunk: Buffer) => chunks.push(chunk));
    answered.on("end", () => {
      if (this.#old || this.#listings.size >= LISTINGS_MAX) return;
      const { statusCode: status = 200, rawHeaders: headers } = answered;
      if (status === 200) this.#listings.set(url, { status, headers, body: Buffer.concat(chunks) });
    });
  }

  #isRepeated({ method, url, headers }: IncomingMessage): boolean {
    const isWrite = method === "DELETE" || (method === "PUT" && headers["content-length"] !== undefined);
    const small = Number(headers["content-length"] ?? 0) <= REPEATED_BYTES_MAX;
    return isWrite && small && url?.includes("uploadId=") === false && this.#random() < REPEATED_SHARE;
  }

  /** Whatever came of it the first time: its sender has long gone on by then. */
  #repeatLater(asked: IncomingMessage, first: ReturnType<typeof request>): void {
    const chunks: Buffer[] = [];
    asked.on("data", (chunk: Buffer) => chunks.push(chunk));
    const again = this.#requestLike(asked);
    const waitMs = this.#random() * REPEATED_AFTER_MS;
    const repeat = once(first, "close")
      .catch(() => {})
      .then(() => sleep(waitMs))
      .then(() => this.#send(again, Buffer.concat(chunks)));
    this.#repeats.add(repeat);
    void repeat.finally(() => this.#repeats.delete(repeat));
  }

  #send(options: RequestOptions, body: Buffer): Promise<void> {
    return new Promise((resolve) => {
      const sent = request(options);
      sent.on("response", (answered) => answered.resume());
      sent.on("error", () => {});
      sent.on("close", () => resolve());
      sent.end(body);
    });
  }
}
