/** `bulkhead domains promote`, `demote` and `promotions`. */
import type { Command } from "commander";
import { PROMOTION_PATHS, type Promotions, promotionsSchema } from "../admin/promotion-types.ts";
import type { AdminClient } from "./admin-client.ts";
import type { Output } from "./commands.ts";
import type { Asking } from "./repair-command.ts";
import { formatTable } from "./text.ts";

export function addPromotionCommands(domains: Command, asking: Asking): void {
  asking(domains.command("promotions").description("the standby nodes, and which are promoted"), showPromotions);
  const promote = asking(
    domains.command("promote <domain>").description("have a standby node serve the domain"),
    (admin, [domain = ""]) => promoteTo(admin, domain, promote.opts<{ readonly node?: string }>()),
  );
  promote.option("--node <name>", "this one (default: the healthy one with the least load)");
  asking(
    domains.command("demote <node>").description("send a promoted node back; its copies are moved home first"),
    async (admin, [node = ""]) =>
      output(await admin.post(PROMOTION_PATHS.demote(encodeURIComponent(node)), promotionsSchema, {})),
  );
}

async function showPromotions(admin: AdminClient): Promise<Output> {
  return output(await admin.get(PROMOTION_PATHS.promotions, promotionsSchema));
}

async function promoteTo(admin: AdminClient, domain: string, { node }: { readonly node?: string }): Promise<Output> {
  const path = PROMOTION_PATHS.promote(encodeURIComponent(domain));
  return output(await admin.post(path, promotionsSchema, node === undefined ? {} : { node }));
}

function output(answer: Promotions): Output {
  const rows = answer.nodes.map((node) => [
    node.node,
    node.state,
    node.domain,
    node.home_domain,
    node.demoted_from ?? "-",
  ]);
  const head = ["NODE", "STATE", "SERVES", "HOME", "STILL HAS COPIES OF"];
  const text = rows.length === 0 ? "There are no standby nodes.\n" : formatTable(head, rows);
  return { json: answer, text };
}
