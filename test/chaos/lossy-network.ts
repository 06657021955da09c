/**
 * A network namespace that servers run in, and in which packets can be dropped. What is made on this machine is one
 * namespace and one pair of virtual interfaces, both of which are gone at the end; no rule outside the namespace is touched.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { ServerNetwork } from "../support/minio-host.ts";
import { missingPrograms, runProgram, succeed } from "../support/programs.ts";

const PREFIX = "bulkhead-faults-";
const SHARE = "0.2";
/** 198.18.0.0/15 is for tests of networks (RFC 2544): nobody routes it. Each process takes four addresses of it. */
const BLOCK_ADDRESSES = 4;
const BLOCKS = 2 ** 15;

/** Namespaces that are not to outlive the tests, whatever ends them. */
const open = new Set<string>();
process.on("exit", () => {
  for (const name of open) execFileSync("ip", ["netns", "del", name]);
});

export class LossyNetwork implements ServerNetwork, AsyncDisposable {
  readonly address: string;
  readonly command: readonly string[];
  readonly #name: string;

  private constructor(name: string, address: string) {
    this.#name = name;
    this.address = address;
    this.command = ["ip", "netns", "exec", name];
  }

  /** A sentence for a skip where this machine does not allow it. */
  static async open(): Promise<LossyNetwork | { readonly skip: string }> {
    const missing = missingPrograms("ip", "iptables");
    if (missing !== undefined) return { skip: `no packets can be dropped: ${missing}` };
    const name = `${PREFIX}${process.pid}`;
    const [ours = "", theirs = ""] = addresses(process.pid % BLOCKS);
    const network = new LossyNetwork(name, theirs);
    try {
      await removeLeftOver();
      await network.#make(ours);
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      const why = error instanceof Error ? error.message.replaceAll("\n", " ").trim() : String(error);
      return { skip: `no packets can be dropped: ${why}` };
    }
  }

  /** Drops one packet of five to and from a server in it, until the promise's value is called. */
  async lose(port: number): Promise<() => Promise<void>> {
    const rule = (how: "-A" | "-D", chain: string, side: string): Promise<string> =>
      this.#inside("iptables", ...[how, chain, "-p", "tcp", side, String(port)], ...DROP);
    await rule("-A", "INPUT", "--dport");
    await rule("-A", "OUTPUT", "--sport");
    return async () => {
      await rule("-D", "INPUT", "--dport");
      await rule("-D", "OUTPUT", "--sport");
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its interface goes with it, and the other end with that one.
    if (open.delete(this.#name)) await succeed("ip", ["netns", "del", this.#name]);
  }

  async #make(ours: string): Promise<void> {
    const [outside, inside] = [`bhf${process.pid}o`, `bhf${process.pid}i`];
    await succeed("ip", ["netns", "add", this.#name]);
    open.add(this.#name);
    const pair = ["link", "add", outside, "type", "veth", "peer", "name", inside, "netns", this.#name];
    await succeed("ip", pair);
    await succeed("ip", ["address", "add", `${ours}/30`, "dev", outside]);
    await succeed("ip", ["link", "set", outside, "up"]);
    await this.#inside("ip", "address", "add", `${this.address}/30`, "dev", inside);
    await this.#inside("ip", "link", "set", inside, "up");
    await this.#inside("ip", "link", "set", "lo", "up");
    // Whether the kernel has what drops them is known only by trying.
    await (await this.lose(1))();
  }

  #inside(...command: readonly string[]): Promise<string> {
    const [program = "", ...args] = [...this.command, ...command];
    return succeed(program, args);
  }
}

const DROP = ["-m", "statistic", "--mode", "random", "--probability", SHARE, "-j", "DROP"] as const;

function addresses(block: number): string[] {
  const first = block * BLOCK_ADDRESSES;
  return [1, 2].map((offset) => {
    const at = first + offset;
    return `198.${18 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}`;
  });
}

/** What a process left that was killed. */
async function removeLeftOver(): Promise<void> {
  const { stdout } = await runProgram("ip", ["netns", "list"]);
  for (const name of stdout.split("\n").map((line) => line.split(" ")[0] ?? "")) {
    const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : "";
    if (/^\d+$/.test(pid) && !existsSync(`/proc/${pid}`)) await succeed("ip", ["netns", "del", name]);
  }
}
