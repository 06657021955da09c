/**
 * What clients may find after a power cut: everything that was acknowledged, and of what was under way each operation
 * as a whole or not at all. Every fact that a client can see has a name here, and a value while it holds.
 */

/** `object bucket/key` to its content, `bucket name`, `upload bucket/key`, `part bucket/key number`. */
export type State = ReadonlyMap<string, string>;

export interface Operation {
  readonly what: string;
  /** Steps of the disks before it began. */
  readonly startedAt: number;
  /** Steps before it was acknowledged; undefined while it is not. */
  acknowledgedAt: number | undefined;
  /** What it changes; undefined where it ends something. */
  readonly effects: ReadonlyMap<string, string | undefined>;
}

export class History {
  readonly #base: State;
  readonly operations: Operation[] = [];

  constructor(base: State) {
    this.#base = base;
  }

  begin(operation: Omit<Operation, "acknowledgedAt">): Operation {
    const begun = { ...operation, acknowledgedAt: undefined };
    this.operations.push(begun);
    return begun;
  }

  /** After so many steps. No two operations at a time concern the same facts, so the order of their beginnings serves. */
  at(step: number): { readonly certain: State; readonly underWay: readonly Operation[] } {
    const certain = new Map(this.#base);
    const underWay: Operation[] = [];
    for (const operation of this.operations) {
      if (operation.startedAt > step) continue;
      const { acknowledgedAt, effects } = operation;
      if (acknowledgedAt === undefined || acknowledgedAt > step) underWay.push(operation);
      else for (const [name, value] of effects) setOrDelete(certain, name, value);
    }
    return { certain, underWay };
  }
}

/** What contradicts; empty when all is well. */
export function contradictions(
  seen: State,
  { certain, underWay }: { readonly certain: State; readonly underWay: readonly Operation[] },
): string[] {
  const problems: string[] = [];
  const expected = new Map(certain);
  for (const { what, effects } of underWay) {
    const isDone = [...effects].every(([name, value]) => seen.get(name) === value);
    const isUndone = [...effects.keys()].every((name) => seen.get(name) === certain.get(name));
    if (!isDone && !isUndone) problems.push(`${what} was under way and is neither done nor undone`);
    for (const name of effects.keys()) setOrDelete(expected, name, seen.get(name));
  }
  for (const name of new Set([...expected.keys(), ...seen.keys()])) {
    const [want, is] = [expected.get(name), seen.get(name)];
    if (want !== is) problems.push(`${name} is ${is ?? "absent"} instead of ${want ?? "absent"}`);
  }
  return problems;
}

function setOrDelete(state: Map<string, string>, name: string, value: string | undefined): void {
  if (value === undefined) state.delete(name);
  else state.set(name, value);
}
