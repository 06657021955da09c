import type { Terminal } from "../../src/cli/status/terminal.ts";

/** What the command line sees where its output goes to a file. */
export const noTerminal: Terminal = {
  interactive: false,
  colors: false,
  size: () => undefined,
  onResize: () => () => {},
  untilInterrupted: () => Object.assign(new AbortController().signal, { [Symbol.dispose]() {} }),
};
