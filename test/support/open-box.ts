/** A gateway in memory with one bucket, `box`, and a client of it: where most tests begin. */
import type { GetRequest, ObjectErrorCode } from "../../src/objects/api.ts";
import { type GatewayOptions, type InMemoryGateway, openInMemoryGateway } from "./in-memory-gateway.ts";
import { assertCode, ObjectClient } from "./object-client.ts";

export const MIB = 2 ** 20;

export interface Box {
  readonly gateway: InMemoryGateway;
  readonly client: ObjectClient;
}

export async function openBox(options: GatewayOptions = {}): Promise<Box> {
  const gateway = await openInMemoryGateway(options);
  const client = new ObjectClient(() => gateway.service);
  await client.createBucket("box");
  return { gateway, client };
}

/** Fails unless both GetObject and HeadObject end with the code. */
export async function assertReadsFail(
  client: ObjectClient,
  path: string,
  { code, ...request }: Partial<GetRequest> & { readonly code: ObjectErrorCode },
): Promise<void> {
  await assertCode(client.get(path, request), code);
  await assertCode(client.head(path, request), code);
}

/** The action the first time that it is called, nothing from then on. */
export function once(action: () => Promise<void>): () => Promise<void> {
  let done = false;
  return async () => {
    if (done) return;
    done = true;
    await action();
  };
}
