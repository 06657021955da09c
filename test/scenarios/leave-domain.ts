/**
 * A domain of MinIO nodes is left for another one while clients write and read: the new domain and its nodes are added, the
 * old one is drained to it, its nodes are removed, and their servers are shut down. All by command.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { bulkhead } from "../support/job-client.ts";
import { contentsOf } from "./bucket-contents.ts";
import { Clients } from "./clients.ts";
import { addNode, follow, movedPerSecond } from "./commands.ts";
import { Findings, percent, seconds } from "./figures.ts";
import { openSite, type Scale, type Site } from "./site.ts";
import { unproven, until } from "./watch.ts";

const KIND = "DRAIN";
const OLD = ["old-1", "old-2"];
const NEW = ["new-1", "new-2"];
const CLIENTS = 4;
const COPIES = 2;
const VERIFY_WIDTH = 8;
const WARM_UP_MS = 2_000;
/** Copies a second, so that the clients have some of the machine. */
const RATE = 200;
const TIMEOUT_MS = 300_000;
const COPIES_PER_SECOND_MIN = 20;

const LAYOUT = {
  domains: { old: OLD.length, stays: 2 },
  spare: NEW.length,
  storage: {
    "active-domains": ["old", "stays"],
    delete: { grace: "1s" },
    health: { "interval-seconds": 2 },
    rebalance: { "rate-limit-per-second": RATE },
  },
};

export async function leaveDomain(scale: Scale): Promise<Findings | { readonly skip: string }> {
  const site = await openSite(LAYOUT, scale);
  if ("skip" in site) return site;
  await using _ = site;
  const findings = new Findings();
  const { gateway, objects, loaded } = site;
  const { say } = scale;
  const clients = new Clients({ objects, loaded, seed: scale.seed, count: CLIENTS });
  try {
    await sleep(WARM_UP_MS);
    const quietFromMs = performance.now();
    await sleep(1000 * scale.quietSeconds);
    const drainedFromMs = performance.now();
    await leave(site, findings, scale);
    const drainedToMs = performance.now();
    await sleep(WARM_UP_MS);
    await clients.stop();
    const quiet = clients.samples.between(quietFromMs, drainedFromMs);
    const during = clients.samples.between(drainedFromMs, drainedToMs);
    findings.figure(
      "objects",
      `${loaded.length} loaded, ${clients.written} written meanwhile, ${scale.size} bytes each`,
    );
    findings.clients("clients, quiet", quiet);
    findings.clients("clients, until the servers are off", during);
    findings.figure("foreground", `${percent(during.perSecond / quiet.perSecond)} of quiet`);
  } finally {
    await clients.stop();
  }
  // The file still names what was left. It said so before, and does not bring it back.
  await gateway.restart();
  say("the gateway was started again");
  await clients.verify(VERIFY_WIDTH);
  findings.figure("failures of clients", String(clients.failures.length));
  findings.promise(clients.failures.length === 0, `clients failed: ${clients.failures.join("; ")}`);
  const all = loaded.length + clients.written;
  const proof = await unproven(gateway, COPIES);
  findings.figure("objects proven whole", `${proof.objects - proof.below.length} of ${proof.objects}`);
  findings.promise(
    proof.below.length === 0 && proof.objects === all,
    `${proof.objects} of ${all} objects proven, without all copies: ${proof.below.slice(0, 5).join(", ") || "none"}`,
  );
  return findings;
}

async function leave(site: Site, findings: Findings, { say }: Scale): Promise<void> {
  const { gateway, spare, loaded, node } = site;
  await bulkhead(gateway, "domains", "add", "new");
  for (const [index, name] of NEW.entries()) {
    const server = spare[index];
    if (server === undefined) throw new Error("there is no server for a new node");
    await addNode(gateway, name, { server, domain: "new" });
  }
  await bulkhead(gateway, "domains", "set", "new", "--accepts-writes", "yes");
  // From here on some objects have their copies in the old domain and in the new one: those of the old go elsewhere.
  await sleep(WARM_UP_MS);
  const drainedFromMs = performance.now();
  await bulkhead(gateway, "domains", "drain", "old", "--to", "new");
  const timeoutMs = TIMEOUT_MS + (1000 * loaded.length) / COPIES_PER_SECOND_MIN;
  const { end, looks } = await follow(gateway, KIND, { timeoutMs, say });
  const tookMs = performance.now() - drainedFromMs;
  findings.figure("drain", `${end.moved} copies in ${seconds(tookMs)}, ${movedPerSecond(looks).toFixed(1)} copies/s`);
  findings.promise(end.told === "done (it is empty)", `the drain ended as ${end.told}, ${end.failed} failures`);
  for (const name of OLD) {
    const { blobs, journal, others } = await contentsOf(node(name).server, name);
    findings.figure(`left on ${name}`, `${blobs} copies, ${journal} pieces of the journal, ${others.join(", ")}`);
    findings.promise(blobs === 0, `${blobs} copies are left on ${name}`);
    const strange = others.filter((key) => !key.endsWith("/identity"));
    findings.promise(strange.length === 0, `on ${name} there is ${strange.slice(0, 3).join(", ")}`);
  }
  for (const name of OLD) await bulkhead(gateway, "nodes", "remove", name);
  await bulkhead(gateway, "domains", "remove", "old");
  say("the old nodes are removed");
  // Not before: pieces of the journal may lie on the old nodes alone.
  await until("the catalog could be made again without the old nodes", TIMEOUT_MS, async () => {
    const { rebuildable } = (await bulkhead(gateway, "catalog", "status")) as { readonly rebuildable: boolean };
    return rebuildable;
  });
  for (const name of OLD) await node(name).server.kill();
  say("their servers are off");
}
