/**
 * A fourth node is added to a domain of three by command, and a rebalance moves its share to it, no faster than it may. All
 * the time every key is read, one after the other and again from the first.
 */
import { bulkhead } from "../support/job-client.ts";
import { contentsOf } from "./bucket-contents.ts";
import { addNode, follow, movedPerSecond } from "./commands.ts";
import { Findings, percent, Samples, seconds } from "./figures.ts";
import type { Objects } from "./objects.ts";
import { openSite, type Scale, type Site } from "./site.ts";
import { unproven } from "./watch.ts";

const KIND = "REBALANCE_TO_NEW";
const NEW_NODE = "a-4";
const NODES_AFTER = 4;
const READERS = 2;
const COPIES = 2;
/** How far what is moved may be from the node's share of the ring. */
const SHARE_TOLERANCE = 0.1;
/** A share of few keys differs by chance as well: so many standard deviations are let pass. */
const CHANCE_SIGMAS = 3;
/** The rate that is configured, of the copies that there are to look at: the move takes about 100 s. */
const RATE_SHARE = 1 / 400;
const RATE_MIN = 10;
const RATE_MAX = 100;
/** Of the configured rate, at least and at most. */
const RATE_TOLERANCE = { least: 0.8, most: 1.05 };
const TIMEOUT_MS = 300_000;

export async function fourthNode(scale: Scale): Promise<Findings | { readonly skip: string }> {
  const rate = Math.min(RATE_MAX, Math.max(RATE_MIN, Math.round(scale.objects * RATE_SHARE)));
  const layout = {
    domains: { a: 3, b: 3 },
    spare: 1,
    storage: {
      "active-domains": ["a", "b"],
      delete: { grace: "1s" },
      health: { "interval-seconds": 2 },
      rebalance: { "rate-limit-per-second": rate, "cleanup-source": true },
    },
  };
  const site = await openSite(layout, scale);
  if ("skip" in site) return site;
  await using _ = site;
  const readers = new Readers(site.objects, site.loaded, READERS);
  try {
    return await addAndRebalance(site, readers, { rate, say: scale.say });
  } finally {
    await readers.stop();
  }
}

async function addAndRebalance(
  { gateway, loaded, spare, node }: Site,
  readers: Readers,
  { rate, say }: { readonly rate: number; readonly say: (line: string) => void },
): Promise<Findings> {
  const findings = new Findings();
  const [server] = spare;
  if (server === undefined) throw new Error("there is no server for the new node");
  const before = await contentsOf(node("b-1").server, "b-1");
  const beganMs = performance.now();
  await addNode(gateway, NEW_NODE, { server, domain: "a" });
  await bulkhead(gateway, "rebalance", "--node", NEW_NODE);
  const timeoutMs = TIMEOUT_MS + (1000 * loaded.length) / rate;
  const { end, looks } = await follow(gateway, KIND, { timeoutMs, say });
  const endedMs = performance.now();
  // What was read when the last copy was moved is read once more.
  await readers.passed();
  await readers.stop();

  const ideal = end.total / NODES_AFTER;
  const measured = movedPerSecond(looks);
  const chance = CHANCE_SIGMAS * Math.sqrt((ideal * (NODES_AFTER - 1)) / NODES_AFTER);
  const off = Math.abs(end.moved - ideal);
  findings.figure("objects", `${loaded.length}, as many copies in the domain`);
  findings.figure("moved", `${end.moved}, ideal ${ideal.toFixed(0)}: off by ${percent(off / ideal)}`);
  findings.figure("job", `${end.told} after ${seconds(endedMs - beganMs)}`);
  findings.figure("rate", `${measured.toFixed(1)} copies/s, configured ${rate}: ${percent(measured / rate)}`);
  const reads = readers.samples.between(beganMs, endedMs);
  findings.clients("readers meanwhile", reads);
  findings.figure("reads that failed", `${readers.failures.length} of ${readers.reads}, ${readers.passes} passes`);
  findings.promise(
    end.told.split(", ").every((state) => state.startsWith("done") && end.failed === 0),
    end.told,
  );
  findings.promise(
    off <= SHARE_TOLERANCE * ideal + chance,
    `${end.moved} copies were moved, and the node's share of the ring is ${ideal.toFixed(0)}`,
  );
  const { least, most } = RATE_TOLERANCE;
  const rates = `${measured.toFixed(1)} copies/s were moved, and ${rate} are configured`;
  findings.promise(measured <= most * rate, rates);
  findings.speed(measured >= least * rate, rates);
  findings.promise(readers.failures.length === 0, `reads failed: ${readers.failures.slice(0, 5).join("; ")}`);
  const held = await contentsOf(server, NEW_NODE);
  findings.promise(held.blobs === end.moved, `${held.blobs} copies lie on the node and ${end.moved} were moved`);
  const after = await contentsOf(node("b-1").server, "b-1");
  findings.promise(after.blobs === before.blobs, "copies of another domain moved");
  const { objects, below } = await unproven(gateway, COPIES);
  findings.promise(objects === loaded.length && below.length === 0, `${below.length} objects have not all copies`);
  return findings;
}

/** Read every key in turn, again and again. */
class Readers {
  readonly samples = new Samples();
  readonly failures: string[] = [];
  reads = 0;
  readonly #objects: Objects;
  readonly #keys: readonly string[];
  readonly #running: Promise<unknown>;
  #next = 0;
  #stopped = false;

  constructor(objects: Objects, keys: readonly string[], count: number) {
    this.#objects = objects;
    this.#keys = keys;
    this.#running = Promise.all(Array.from({ length: count }, () => this.#run()));
  }

  /** How often every key was read. */
  get passes(): number {
    return Math.floor(this.reads / this.#keys.length);
  }

  /** Resolves when every key was read once more. */
  async passed(): Promise<void> {
    const until = this.#next + this.#keys.length;
    while (this.#next < until && !this.#stopped) await this.#read();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) await this.#read();
  }

  async #read(): Promise<void> {
    const key = this.#keys[this.#next++ % this.#keys.length] ?? "";
    const beganMs = performance.now();
    await this.#objects.check(key, 1).catch((error: unknown) => void this.failures.push(String(error)));
    const endedMs = performance.now();
    this.samples.add(endedMs, endedMs - beganMs);
    this.reads += 1;
  }
}
