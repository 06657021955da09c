/** What tests need of the metrics that MinIO serves. */
import { createHmac } from "node:crypto";
import { statfs } from "node:fs/promises";

/** Serves metrics to anybody; without it a token is wanted. */
export const PUBLIC_METRICS = { MINIO_PROMETHEUS_AUTH_TYPE: "public" };

/** As long as `mc` makes it. */
const TOKEN_SECONDS = 100 * 365 * 86_400;

/** The token that `mc admin prometheus generate` prints: a JWT of HS512 under the secret key. */
export function prometheusToken({ accessKey, secretKey }: { accessKey: string; secretKey: string }): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + TOKEN_SECONDS;
  const signed = `${encode({ alg: "HS512", typ: "JWT" })}.${encode({ exp, sub: accessKey, iss: "prometheus" })}`;
  return `${signed}.${createHmac("sha512", secretKey).update(signed).digest("base64url")}`;
}

/** What MinIO says of a drive: what the system keeps back for itself is not there. */
export async function driveBytes(folder: string): Promise<{ totalBytes: number; freeBytes: number }> {
  const { bsize, blocks, bfree, bavail } = await statfs(folder);
  return { totalBytes: bsize * (blocks - (bfree - bavail)), freeBytes: bsize * bavail };
}
