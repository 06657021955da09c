/** What the admin port tells of the coordinator. */
import * as z from "zod";
import type { CoordinatorKind } from "../coordination/coordinator.ts";

const KINDS = ["embedded", "redis"] as const satisfies readonly CoordinatorKind[];

export const coordinatorSchema = z
  .object({
    kind: z.enum(KINDS),
    available: z.boolean().meta({ description: "whether it answers; background work pauses while it does not" }),
    leader: z.boolean().meta({ description: "whether this gateway is the one that does the background work" }),
  })
  .meta({ id: "Coordinator", description: "what gateways agree by on who does what" });
export type CoordinatorState = z.infer<typeof coordinatorSchema>;

/** A reason why a gateway is degraded, where it is one: clients are served without a coordinator. */
export function troubleOfCoordinator({ available }: CoordinatorState): string[] {
  return available ? [] : ["the coordinator does not answer: background work pauses"];
}
