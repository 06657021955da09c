/** What the benchmark tells its load generator, and what it hears back: one line of JSON each way. */

export type Operation = "prepare" | "put" | "get" | "head" | "list";

export interface Job {
  readonly url: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly bucket: string;
  readonly operation: Operation;
  readonly objectBytes: number;
  /** Requests at a time, each on a connection of its own. */
  readonly concurrency: number;
  /** Keys that are written and read in turn. `prepare` writes each once. */
  readonly objects: number;
  /** How long to go on; a request that began is always finished. */
  readonly seconds: number;
}

export interface Outcome {
  readonly operations: number;
  readonly seconds: number;
  readonly latencyMsMedian: number;
  readonly latencyMs99: number;
}
