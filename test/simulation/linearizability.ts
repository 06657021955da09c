/**
 * Whether what clients saw of one key can be explained by operations that happened one after the other, each at some
 * moment between its call and its answer. One whose answer nobody got may have happened at any moment after its call, or
 * never. Follows the history from answer to answer and keeps every state that the key can be in (Lowe, "Testing for
 * linearizability", 2017).
 */

/** No version. */
export const ABSENT = "";

/** What an operation found the key to be when it happened. */
export type Need =
  | { readonly is: "anything" }
  | { readonly is: "absent" }
  | { readonly is: "present" }
  | { readonly is: "version"; readonly version: string }
  | { readonly is: "etag"; readonly etag: string }
  | { readonly is: "another etag"; readonly etag: string };

/** One way in which an operation can have happened. */
export interface Way {
  readonly need: Need;
  /** The version that it left; absent when it changed nothing. */
  readonly sets?: string;
  /** What happens only once, whoever does it: the end of an upload. */
  readonly once?: { readonly name: string; readonly before: "open" | "done" };
}

export interface HistoryOp {
  readonly label: string;
  /** Position of the call among all calls and answers. */
  readonly calledAt: number;
  /** Position of the answer; Infinity when nobody got one. */
  readonly answeredAt: number;
  readonly ways: readonly Way[];
}

interface State {
  readonly version: string;
  /** Operations that have happened and were not answered yet. */
  readonly happened: ReadonlySet<number>;
  readonly done: ReadonlySet<string>;
}

/** States beyond which the check is given up as too hard. None of the cases so far came near. */
const STATES_MAX = 100_000;

/**
 * @param etagOf the ETag of a version, `undefined` while unknown
 * @returns what cannot be explained, `undefined` when all can
 */
export function unexplained(
  history: readonly HistoryOp[],
  etagOf: (version: string) => string | undefined,
): string | undefined {
  const seen = new Set(history.flatMap(({ answeredAt, ways }) => (answeredAt < Infinity ? versionsIn(ways) : [])));
  // Most of what was never answered was never seen either, and does without a place.
  const likely = history.filter(
    ({ answeredAt, ways }) => answeredAt < Infinity || versionsIn(ways).some((version) => seen.has(version)),
  );
  if (explain(likely, etagOf) === undefined) return undefined;
  return explain(history, etagOf);
}

function versionsIn(ways: readonly Way[]): string[] {
  return ways.flatMap(({ need, sets }) => [
    ...(need.is === "version" ? [need.version] : []),
    ...(sets === undefined || sets === ABSENT ? [] : [sets]),
  ]);
}

function explain(history: readonly HistoryOp[], etagOf: (version: string) => string | undefined): string | undefined {
  const moments = history
    .flatMap(({ calledAt, answeredAt }, op) => [
      { at: calledAt, op, answer: false },
      ...(answeredAt < Infinity ? [{ at: answeredAt, op, answer: true }] : []),
    ])
    .sort((a, b) => a.at - b.at);
  let states: State[] = [{ version: ABSENT, happened: new Set(), done: new Set() }];
  const pending = new Set<number>();
  for (const { op, answer } of moments) {
    if (!answer) {
      pending.add(op);
      continue;
    }
    const next = new Map<string, State>();
    const visited = new Set<string>();
    const follow = (state: State): void => {
      const name = nameOf(state);
      if (visited.has(name) || visited.size > STATES_MAX) return;
      visited.add(name);
      if (state.happened.has(op)) {
        const answered = { ...state, happened: without(state.happened, op) };
        next.set(nameOf(answered), answered);
        return;
      }
      for (const each of pending) {
        if (state.happened.has(each)) continue;
        for (const way of history[each]?.ways ?? []) {
          const after = happen(state, each, way, etagOf);
          if (after !== undefined) follow(after);
        }
      }
    };
    for (const state of states) follow(state);
    if (next.size === 0 && visited.size <= STATES_MAX) return explanation(history, op, states);
    if (visited.size > STATES_MAX) return undefined;
    states = [...next.values()];
    pending.delete(op);
  }
  return undefined;
}

function happen(
  state: State,
  op: number,
  { need, sets, once }: Way,
  etagOf: (version: string) => string | undefined,
): State | undefined {
  if (!holds(need, state.version, etagOf)) return undefined;
  if (once !== undefined && state.done.has(once.name) !== (once.before === "done")) return undefined;
  return {
    version: sets ?? state.version,
    happened: new Set([...state.happened, op]),
    done: once === undefined ? state.done : new Set([...state.done, once.name]),
  };
}

function holds(need: Need, version: string, etagOf: (version: string) => string | undefined): boolean {
  switch (need.is) {
    case "anything":
      return true;
    case "absent":
      return version === ABSENT;
    case "present":
      return version !== ABSENT;
    case "version":
      return version === need.version;
    case "etag":
      return version !== ABSENT && (etagOf(version) ?? need.etag) === need.etag;
    case "another etag":
      return version !== ABSENT && etagOf(version) !== need.etag;
  }
}

function without(set: ReadonlySet<number>, item: number): Set<number> {
  const rest = new Set(set);
  rest.delete(item);
  return rest;
}

function nameOf({ version, happened, done }: State): string {
  return `${version}|${[...happened].sort((a, b) => a - b).join()}|${[...done].sort().join()}`;
}

/** How many operations before the one that cannot be explained are shown. */
const SHOWN = 12;

function explanation(history: readonly HistoryOp[], op: number, states: readonly State[]): string {
  const failed = history[op];
  if (failed === undefined) return "";
  const before = history
    .filter(({ calledAt }) => calledAt <= failed.answeredAt)
    .sort((a, b) => a.calledAt - b.calledAt)
    .slice(-SHOWN)
    .map(
      ({ label, calledAt, answeredAt }) =>
        `    [${calledAt}, ${answeredAt === Infinity ? "no answer" : answeredAt}] ${label}`,
    );
  const could = [...new Set(states.map(({ version }) => (version === ABSENT ? "absent" : version)))].join(" or ");
  return `${failed.label} cannot be explained: the key could only be ${could}\n${before.join("\n")}`;
}
