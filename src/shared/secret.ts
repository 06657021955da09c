import { inspect } from "node:util";

const SHOWN_AS = "[secret]";

/** A text that must not be shown. Printing, inspecting or serializing it shows a placeholder. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. To be called where it is used, never to be kept. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return SHOWN_AS;
  }

  toJSON(): string {
    return SHOWN_AS;
  }

  [inspect.custom](): string {
    return SHOWN_AS;
  }
}
