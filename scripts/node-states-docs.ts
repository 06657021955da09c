/**
 * Writes the tables of docs/node-states.md from the code, between two marks. Run it after a change:
 *
 *   sh bin/run-node scripts/node-states-docs.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { HEALTH_INVARIANTS } from "../src/cluster/health/invariants.ts";
import { EFFECTS, HEALTH_EVENTS, NODE_STATES, TRANSITIONS } from "../src/cluster/health/transitions.ts";

export const NODE_STATES_FILE = resolve(import.meta.dirname, "../docs/node-states.md");
const BEGIN = "<!-- tables: written by scripts/node-states-docs.ts -->\n";
const END = "<!-- end of tables -->\n";

/** The document with its tables as the code has them. @throws Error where the marks are missing */
export function renderNodeStates(document: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error("docs/node-states.md lacks the marks of its tables");
  return `${document.slice(0, begin + BEGIN.length)}\n${tables()}\n${document.slice(end)}`;
}

function tables(): string {
  const transitions = table(
    ["state", ...HEALTH_EVENTS],
    NODE_STATES.map((state) => [
      `\`${state}\``,
      ...HEALTH_EVENTS.map((event) => {
        const next = TRANSITIONS[state][event];
        return next === state ? "·" : next;
      }),
    ]),
  );
  const effects = table(
    ["state", "reads", "new copies", "its copies are made anew elsewhere"],
    NODE_STATES.map((state) => {
      const { reads, writes, lost } = EFFECTS[state];
      return [`\`${state}\``, reads, writes ? "yes" : "no", lost ? "yes" : "no"];
    }),
  );
  const invariants = table(
    ["", "invariant", "test"],
    HEALTH_INVARIANTS.map(({ number, says, test }) => [number, says, `\`test/${test}\``]),
  );
  return [
    `## Transitions\n\nA dot: the state stays.\n\n${transitions}`,
    `## Effects of the states\n\n${effects}`,
    `## Invariants\n\n${invariants}`,
  ].join("\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

if (import.meta.main) writeFileSync(NODE_STATES_FILE, renderNodeStates(readFileSync(NODE_STATES_FILE, "utf8")));
