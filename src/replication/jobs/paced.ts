import type { Block } from "../../nodes/storage-node.ts";
import type { MoveLimits } from "./move-limits.ts";

/** What a copy that is made in the background asks before it goes on. */
export type Pace = Pick<MoveLimits, "object" | "bytes">;

/** The blocks of a copy, no faster than the pace lets them. */
export async function* paced(
  blocks: AsyncIterable<Block>,
  pace: Pick<Pace, "bytes">,
  signal: AbortSignal,
): AsyncGenerator<Block, void> {
  for await (const block of blocks) {
    await pace.bytes(block.length, signal);
    yield block;
  }
}
