import * as z from "zod";

/** What the schema says of each setting besides its form. */
export interface SettingNotes {
  /** For the documentation: a phrase without a full stop. */
  readonly meaning: string;
  /** A shorter environment variable, besides the one that follows from the path. */
  readonly alias?: string;
  /** Never shown, and readable from a file: the environment variable with `_FILE` added names it. */
  readonly secret?: true;
  /** How a default that is not a constant is described. */
  readonly defaultNote?: string;
}

export const settingNotes = z.registry<SettingNotes>();
