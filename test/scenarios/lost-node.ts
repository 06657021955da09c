/**
 * A node is killed and never comes back. Two domains of three nodes and two nodes on standby; the domain is to have three.
 * A standby node takes the lost one's place, all copies are complete again, and clients go on meanwhile.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Clients } from "./clients.ts";
import { Findings, percent, seconds } from "./figures.ts";
import { LOADED, openSite, type Scale, type Site } from "./site.ts";
import { backlog, promotedNodes, total, unproven, until } from "./watch.ts";

const CLIENTS = 6;
const VERIFY_WIDTH = 8;
const WARM_UP_MS = 5_000;
const COPIES = 2;
const RESTORED = "bulkhead_copies_restored_total";
/** Of the objects, a third of which the node had: when so many copies are work, its copies are being put on record. */
const MARKED_SHARE = 0.05;
/** What clients keep of their quiet rate, at least. */
const FOREGROUND_SHARE_MIN = 0.7;
const PROMOTED_TIMEOUT_MS = 120_000;
/** Until all copies are complete: so long at least, and so many copies a second that have to be made. */
const COMPLETE_TIMEOUT_MS = 300_000;
const COPIES_PER_SECOND_MIN = 20;

const LAYOUT = {
  domains: { a: 3, b: 3, standby: 2 },
  storage: {
    "active-domains": ["a", "b"],
    "standby-domain": "standby",
    domains: [
      { name: "a", minNodes: 3 },
      { name: "b", minNodes: 3 },
    ],
    // A scenario does not wait as long as an operator wants a gateway to.
    health: { "interval-seconds": 2 },
    promotion: { "interval-seconds": 2, "hysteresis-seconds": 5 },
  },
};

export async function lostNode(scale: Scale): Promise<Findings | { readonly skip: string }> {
  const site = await openSite(LAYOUT, scale);
  if ("skip" in site) return site;
  await using _ = site;
  const findings = new Findings();
  const { gateway, objects, loaded } = site;
  const clients = new Clients({ objects, loaded, seed: scale.seed, count: CLIENTS });
  try {
    await sleep(WARM_UP_MS);
    const quietFromMs = performance.now();
    await sleep(1000 * scale.quietSeconds);
    const times = await loseNode(site, scale);
    await clients.stop();
    const restored = (await total(gateway, RESTORED)) - times.restoredBefore;
    const written = `${clients.written} written meanwhile, ${scale.size} bytes each`;
    findings.figure("objects", `${loaded.length} loaded, ${written}`);
    tell(findings, times, { restored, bytes: scale.size });
    compare(findings, clients, { ...times, quietFromMs });
  } finally {
    await clients.stop();
  }
  await clients.verify(VERIFY_WIDTH);
  findings.figure("failures of clients", String(clients.failures.length));
  findings.promise(clients.failures.length === 0, `clients failed: ${clients.failures.join("; ")}`);
  const proof = await unproven(gateway, COPIES);
  findings.figure("objects proven whole", `${proof.objects - proof.below.length} of ${proof.objects}`);
  const all = loaded.length + clients.written;
  findings.promise(
    proof.below.length === 0 && proof.objects === all,
    `${proof.objects} of ${all} objects proven, without all copies: ${proof.below.slice(0, 5).join(", ") || "none"}`,
  );
  return findings;
}

/** When what happened, monotonic. */
interface Times {
  readonly killedMs: number;
  readonly promotedMs: number;
  /** When the lost copies were work for repair. */
  readonly markedMs: number;
  readonly completeMs: number;
}

function tell(
  findings: Findings,
  { killedMs, promotedMs, markedMs, completeMs }: Times,
  { restored, bytes }: { readonly restored: number; readonly bytes: number },
): void {
  const perSecond = (1000 * restored) / (completeMs - markedMs);
  findings.figure("time to promotion", `${seconds(promotedMs - killedMs)} after the kill`);
  findings.figure("time until its copies are work", `${seconds(markedMs - killedMs)} after the kill`);
  findings.figure("time to full redundancy", `${seconds(completeMs - killedMs)} after the kill`);
  const mib = (perSecond * bytes) / 2 ** 20;
  findings.figure("repair", `${restored} copies, ${perSecond.toFixed(0)} objects/s, ${mib.toFixed(2)} MiB/s`);
}

/** What clients had after the kill, against the quiet window before it. */
function compare(findings: Findings, { samples }: Clients, times: Times & { readonly quietFromMs: number }): void {
  const quiet = samples.between(times.quietFromMs, times.killedMs);
  const during = samples.between(times.killedMs, times.completeMs);
  const repairing = samples.between(times.markedMs, times.completeMs);
  findings.clients("clients, quiet", quiet);
  findings.clients("clients, kill to full redundancy", during);
  findings.clients("clients, while repair is at work", repairing);
  const [share, repairingShare] = [during.perSecond / quiet.perSecond, repairing.perSecond / quiet.perSecond];
  findings.figure("foreground", `${percent(share)} of quiet; ${percent(repairingShare)} while repair is at work`);
  const least = Math.min(share, repairingShare);
  findings.speed(least >= FOREGROUND_SHARE_MIN, `clients kept ${percent(least)} of their quiet rate`);
}

/** Kills a node and waits until everything is complete without it. */
async function loseNode(
  { gateway, node, loaded }: Site,
  { say }: Scale,
): Promise<Times & { readonly restoredBefore: number }> {
  const restoredBefore = await total(gateway, RESTORED);
  const victim = node("a-2");
  const killedMs = performance.now();
  await victim.server.kill();
  say(`${victim.name} is killed`);
  const promoted = until("a standby node is promoted", PROMOTED_TIMEOUT_MS, async () => {
    return (await promotedNodes(gateway)).length > 0;
  });
  // Both come by themselves, in whichever order.
  const marked = until("the lost copies are on record as work", PROMOTED_TIMEOUT_MS, async () => {
    const restored = (await total(gateway, RESTORED)) - restoredBefore;
    return restored + (await backlog(gateway)) > loaded.length * MARKED_SHARE;
  });
  const [promotedMs, markedMs] = await Promise.all([promoted, marked]);
  say(
    `promoted after ${seconds(promotedMs - killedMs)}; the lost copies are work after ${seconds(markedMs - killedMs)}`,
  );
  const timeoutMs = COMPLETE_TIMEOUT_MS + (1000 * loaded.length) / COPIES_PER_SECOND_MIN;
  let [toldMs, completeMs] = [markedMs, markedMs];
  await until("all copies are complete", timeoutMs, async () => {
    const left = await backlog(gateway);
    completeMs = performance.now();
    if (completeMs > toldMs + 10_000) {
      toldMs = completeMs;
      say(`${left} copies to be made`);
    }
    return left === 0 && (await unproven(gateway, COPIES, LOADED)).below.length === 0;
  });
  say(`complete after ${seconds(completeMs - killedMs)}`);
  return { killedMs, promotedMs, markedMs, completeMs, restoredBefore };
}
