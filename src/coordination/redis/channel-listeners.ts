/** Who listens to which channel in this process; a connection subscribes to each channel once. */
import type { RedisConnection } from "./redis-connection.ts";

export class ChannelListeners {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #channels = new Map<string, Set<(message: string) => void>>();

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.#prefix = prefix;
    connection.listen(
      () => this.#channels.keys(),
      (channel, message) => {
        for (const listener of this.#channels.get(channel) ?? []) listener(message);
      },
    );
  }

  /** @returns what ends the listening */
  add(name: string, listener: (message: string) => void): () => void {
    const channel = this.#prefix + name;
    // One listener may be given twice, and each is to end by itself.
    const own = (message: string): void => listener(message);
    const all = this.#channels.get(channel);
    if (all === undefined) {
      this.#channels.set(channel, new Set([own]));
      this.#connection.subscribe(channel);
    } else {
      all.add(own);
    }
    return () => this.#remove(channel, own);
  }

  #remove(channel: string, listener: (message: string) => void): void {
    const all = this.#channels.get(channel);
    if (all?.delete(listener) !== true || all.size > 0) return;
    this.#channels.delete(channel);
    this.#connection.unsubscribe(channel);
  }
}
