/** One look at a node: its check, bounded in time, and its admission where it passed that. */
import type { Catalog } from "../catalog/catalog.ts";
import { nodeKey } from "../catalog/keys.ts";
import type { StorageNode } from "../nodes/storage-node.ts";
import type { Logger } from "../observability/logger.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";
import { type CheckResult, checkNode } from "./node-check.ts";
import { decodeNode } from "./topology-records.ts";
import { recordAdmission } from "./topology-store.ts";

/** Longest time that one look may take. */
const LOOK_TIMEOUT_MS = 15_000;

/** What was seen. `undecided`: nothing that its state could follow from. */
export interface Seen {
  readonly kind: CheckResult["seen"] | "undecided";
  readonly reason: string | undefined;
  /** Its write generation, where it was admitted in this very look. */
  readonly admittedAs?: number;
}

export interface LookOptions {
  readonly catalog: Catalog;
  readonly clusterKey: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: StorageNode;
  readonly uuid: Id;
  /** Whether it passed admission before. */
  readonly admitted: boolean;
  readonly stopped: AbortSignal;
}

/** Never throws. A driver that ignores its signal is not waited for. */
export async function lookAtNode(options: LookOptions): Promise<Seen> {
  const { clock, logger, node, stopped } = options;
  const timeout = new AbortController();
  const silent = Promise.withResolvers<Seen>();
  const timer = clock.startTimer(LOOK_TIMEOUT_MS, () => {
    timeout.abort();
    silent.resolve({ kind: "silent", reason: "it did not answer its check in time" });
  });
  const stop = (): void => silent.resolve({ kind: "undecided", reason: undefined });
  stopped.addEventListener("abort", stop, { once: true });
  try {
    const seen = await Promise.race([look(options, AbortSignal.any([timeout.signal, stopped])), silent.promise]);
    // What the node's driver says then is only that its caller gave up.
    return timeout.signal.aborted ? await silent.promise : seen;
  } catch (error) {
    logger.error({ err: error, node: node.name }, "a node check failed in an unexpected way");
    return { kind: "silent", reason: "its check failed in an unexpected way" };
  } finally {
    timer.stop();
    stopped.removeEventListener("abort", stop);
  }
}

async function look(options: LookOptions, signal: AbortSignal): Promise<Seen> {
  const { catalog, clusterKey, logger, node, uuid, admitted } = options;
  const isKnown = async (other: Id): Promise<boolean> => (await catalog.kv.get(nodeKey(other))) !== undefined;
  const identity = { clusterId: catalog.clusterId, nodeUuid: uuid };
  const checked = await checkNode(node, identity, { clusterKey, admitted, isKnown, signal });
  const { seen, admittedNow, sibling } = checked;
  const reason = sibling === undefined ? checked.reason : await tellOfSibling(catalog, { name: node.name, sibling });
  if (admittedNow !== true || signal.aborted) return { kind: seen, reason };
  const admittedAs = await recordAdmission(catalog, uuid);
  // Its record changed meanwhile: the next look admits it.
  if (admittedAs === undefined) return { kind: "undecided", reason: undefined };
  logger.info({ node: node.name }, "node admitted");
  return { kind: seen, reason, admittedAs };
}

/** Why a node is refused that says to be another one of the cluster, and what an operator may do about it. */
async function tellOfSibling(
  catalog: Catalog,
  { name, sibling }: { readonly name: string; readonly sibling: Id },
): Promise<string> {
  const entry = await catalog.kv.get(nodeKey(sibling));
  const other = entry && decodeNode(entry.value);
  if (other === undefined) return `it is another node of this cluster (${sibling})`;
  const is = `it is node ${other.name} of this cluster (${sibling})`;
  if (other.configured) return `${is}: two names lead to one place, or two nodes were swapped`;
  return `${is}, which the configuration does not name: call it ${other.name} again, or give ${name} formerName: ${other.name}`;
}
