/**
 * The folders of src/ in the order in which a request travels (docs/architecture.md). A file imports from its own
 * folder and from those below it, never from one above, types included. main.ts stands above them all.
 *
 * oxlint sees the text of an import, not the file it means, and a folder name can stand at two levels (src/s3 and
 * src/nodes/s3). So there is one rule for each folder and depth: at depth 2 only `../../s3/` leads to src/s3.
 */
export const LAYERS = [
  "compose",
  "config",
  "cli",
  "admin",
  "s3",
  "objects",
  "replication",
  "cluster",
  "placement",
  "catalog",
  "nodes",
  "coordination",
  "observability",
  "shared",
] as const;

export type Layer = (typeof LAYERS)[number];

/** Levels of subfolders inside a layer that the rules cover; a test fails where src/ is deeper. */
export const DEPTH_MAX = 3;

/** One restriction of eslint's `no-restricted-imports`: a regular expression over the imported path, and why. */
export interface RestrictedPattern {
  readonly regex: string;
  readonly message: string;
}

/** What the files directly in `src/{layer}` (depth 1), in its folders (2), in theirs (3) must not import. */
export function forbiddenDirections(layer: Layer, depth: number): RestrictedPattern[] {
  const toSrc = "\\.\\./".repeat(depth);
  const above = LAYERS.slice(0, LAYERS.indexOf(layer));
  const upward: RestrictedPattern[] = [
    {
      regex: `^${toSrc}main\\.ts$`,
      message: "Nothing imports the entry point: hand over what it knows as an argument.",
    },
  ];
  if (above.length > 0) {
    upward.push({
      regex: `^${toSrc}(${above.join("|")})/`,
      message: `src/${layer} may import only from the folders below it (scripts/checks/import-directions.ts).`,
    });
  }
  return upward;
}
