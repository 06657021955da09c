/** A load on a gateway that is killed in the middle of it, and the look at what is there afterwards. */
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import type { Gateway } from "./gateway.ts";
import type { Ledger } from "./ledger.ts";
import { runLoad, verifyAll } from "./load.ts";
import { strictClientOf } from "./s3-client.ts";

export const BUCKET = "drill";
const OPERATIONS = 300;
const MIX = { put: 10, get: 2, delete: 4, multipart: 3 } as const;

export async function createBucket(gateway: Gateway): Promise<void> {
  using client = strictClientOf(gateway);
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
}

export interface Drill {
  readonly gateway: Gateway;
  readonly ledger: Ledger;
  readonly seed: number;
  /** Called just before the kill. */
  readonly onKill?: () => void;
}

/** Runs a load and kills the gateway in the middle of it. @returns acknowledged operations */
export async function loadAndKill({ gateway, ledger, seed, onKill }: Drill): Promise<number> {
  using client = strictClientOf(gateway);
  let kill: Promise<void> | undefined;
  const acknowledged = await runLoad({
    client,
    bucket: BUCKET,
    ledger,
    seed,
    writers: 12,
    keysPerWriter: 10,
    mix: MIX,
    operations: Number.MAX_SAFE_INTEGER,
    mayFail: () => kill !== undefined,
    onProgress: (count) => {
      if (count < OPERATIONS || kill !== undefined) return;
      onKill?.();
      kill = gateway.kill9();
    },
  });
  await kill;
  return acknowledged;
}

/** Reads and lists everything. @returns how many objects there are */
export async function verify(gateway: Gateway, ledger: Ledger): Promise<number> {
  using client = strictClientOf(gateway);
  return verifyAll({ client, bucket: BUCKET, ledger });
}
