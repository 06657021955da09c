/**
 * Makes a case that goes wrong as small as it gets while it still goes wrong in the same way: fewer steps (ddmin: Zeller
 * and Hildebrandt, 2002), then calmer conditions. Leaving a step out shifts the choices of the network behind it, so each
 * candidate has a few more tries under other seeds.
 */
import type { Mutation } from "./mutation.ts";
import { CALM_NETWORK } from "./network.ts";
import type { Case, CaseConfig, Step } from "./plan.ts";
import { type CaseResult, type RunOptions, runCase } from "./run-case.ts";
import { CALM_STORE } from "./store.ts";

/** Seeds tried for a candidate beside its own. */
const OTHER_SEEDS = 2;

export interface MinimizeOptions {
  readonly checksums: RunOptions["checksums"];
  readonly mutation?: Mutation | undefined;
  /** Looked at between two runs: whether there is time for another. */
  readonly goOn: () => boolean;
}

/** @returns a case that goes wrong as the given one does; the given one where none smaller was found */
export async function minimize(original: Case, violation: string, options: MinimizeOptions): Promise<Case> {
  const { checksums, mutation = {}, goOn } = options;
  const kind = kindOf(violation);
  const isBad = async (candidate: Case): Promise<boolean> => {
    const { violations } = await runCase(candidate, { checksums, mutation });
    return violations.some((each) => kindOf(each) === kind);
  };
  /** The candidate under the first seed with which it goes wrong. */
  const reproduce = async (candidate: Case): Promise<Case | undefined> => {
    for (let extra = 0; extra <= OTHER_SEEDS && goOn(); extra++) {
      const config = { ...candidate.config, seed: candidate.config.seed + extra };
      if (await isBad({ ...candidate, config })) return { ...candidate, config };
    }
    return undefined;
  };

  let best = original;
  for (const config of calmer(best.config)) best = (await reproduce({ ...best, config })) ?? best;
  best = await fewerSteps(best, reproduce, goOn);
  for (const config of calmer(best.config)) best = (await reproduce({ ...best, config })) ?? best;
  return best;
}

async function fewerSteps(
  from: Case,
  reproduce: (candidate: Case) => Promise<Case | undefined>,
  goOn: () => boolean,
): Promise<Case> {
  let best = from;
  let pieces = 2;
  while (best.steps.length > 1 && goOn()) {
    const size = Math.ceil(best.steps.length / pieces);
    let found: Case | undefined;
    for (let at = 0; at < best.steps.length && found === undefined; at += size) {
      const steps = [...best.steps.slice(0, at), ...best.steps.slice(at + size)];
      found = await reproduce({ ...best, steps });
    }
    if (found !== undefined) {
      best = found;
      pieces = Math.max(2, pieces - 1);
    } else if (size === 1) {
      return best;
    } else {
      pieces = Math.min(best.steps.length, pieces * 2);
    }
  }
  return best;
}

/** The configuration with one thing less in it, in turn. */
function* calmer(config: CaseConfig): Generator<CaseConfig> {
  yield { ...config, network: { ...CALM_NETWORK, latencyMsMax: config.network.latencyMsMax } };
  yield { ...config, store: { ...CALM_STORE, latencyMsMax: config.store.latencyMsMax } };
  yield { ...config, gateways: 1, sessions: "in turn" };
  yield { ...config, skewMsMax: 0 };
  yield { ...config, standbyNodes: 0 };
}

/** What is the same about two violations: their words without names, numbers and ids. */
function kindOf(violation: string): string {
  return violation
    .replace(/\n[^]*/, "")
    .replace(/[a-z-]+-bucket\/\S+/g, "KEY")
    .replace(/[0-9a-f]{8,}/g, "ID")
    .replace(/\S*\d\S*/g, "N")
    .split(" ")
    .slice(0, 8)
    .join(" ");
}

/** The case as a person reads it: its conditions, its steps, and what happened, without the nodes' health checks. */
export function tell({ config, steps }: Case, { trace, violations }: CaseResult): string {
  const happened = trace.filter((line) => !/ (probe \w+|read identity|write identity|capacity|list)$/.test(line));
  return [
    `cluster: ${JSON.stringify(config)}`,
    "",
    `steps (${steps.length}):`,
    ...steps.map((step) => `  ${tellStep(step)}`),
    "",
    "what happened (ms of simulated time):",
    ...happened,
    "",
    ...violations.map((violation) => `violation: ${violation}`),
  ].join("\n");
}

function tellStep({ waitMs, ...step }: Step): string {
  const { client, gateway, ...rest } = "client" in step ? step : { ...step, client: undefined, gateway: undefined };
  const who = client === undefined ? "fault " : `client ${client}`;
  return `+${waitMs} ms ${who}: ${JSON.stringify(rest)}${gateway === undefined ? "" : ` on gateway ${gateway}`}`;
}
