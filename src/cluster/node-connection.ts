/**
 * How a node is reached that the configuration does not name, as the catalog keeps it. Its keys are encrypted under a key
 * that follows from the cluster's, which lies in the data folder alone: whoever has the catalog or its journal on a node
 * has no key of any other node.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import * as z from "zod";
import { decodeRecord, encodeRecord } from "../catalog/records/codec.ts";
import { type Id, idBytes } from "../shared/ids.ts";
import type { Random } from "../shared/random.ts";
import { Secret } from "../shared/secret.ts";

export interface VolumeConnection {
  readonly kind: "volume";
  /** The folder. */
  readonly path: string;
  readonly indexPath?: string;
}

export interface S3Connection {
  readonly kind: "s3";
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  /** PEM: the certificates that the node's own is signed by. */
  readonly ca?: string;
  /** What URLs of this node are signed for, where that is not its endpoint. */
  readonly externalEndpoint?: string;
  readonly metricsPath: string;
  /** Absent where they cannot be read: the cluster's key is another one than that which encrypted them. */
  readonly keys?: ConnectionKeys;
}

export interface ConnectionKeys {
  readonly accessKey: string;
  readonly secretKey: Secret;
  /** Bearer token for its metrics. */
  readonly metricsToken?: Secret;
}

export type NodeConnection = VolumeConnection | S3Connection;

/** Seals and opens the keys in the connections of one cluster. */
export interface ConnectionCodec {
  encode(uuid: Id, connection: NodeConnection): Buffer;
  /** @throws RecordError */
  decode(uuid: Id, value: Uint8Array): NodeConnection;
}

const FORMAT = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PURPOSE = "bulkhead-node-connection:1";
const KINDS = ["volume", "s3"] as const;

const keysSchema = z.object({ accessKey: z.string(), secretKey: z.string(), metricsToken: z.string().optional() });

/** @param clusterKey of the data folder; what was sealed under another one is opened without its keys */
export function connectionCodec(clusterKey: Uint8Array, clusterId: Id, random: Random): ConnectionCodec {
  const key = Buffer.from(hkdfSync("sha256", clusterKey, idBytes(clusterId), PURPOSE, KEY_BYTES));

  function seal(uuid: Id, { accessKey, secretKey, metricsToken }: ConnectionKeys): Buffer {
    const nonce = random.bytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES }).setAAD(boundTo(uuid));
    const token = metricsToken === undefined ? {} : { metricsToken: metricsToken.reveal() };
    const text = JSON.stringify({ accessKey, secretKey: secretKey.reveal(), ...token });
    return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
  }

  function open(uuid: Id, sealed: Uint8Array): ConnectionKeys | undefined {
    try {
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(boundTo(uuid)).setAuthTag(sealed.subarray(-TAG_BYTES));
      const text = Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
      const { accessKey, secretKey, metricsToken } = keysSchema.parse(JSON.parse(text.toString("utf8")));
      const token = metricsToken === undefined ? {} : { metricsToken: new Secret(metricsToken) };
      return { accessKey, secretKey: new Secret(secretKey), ...token };
    } catch {
      // Sealed under another key, or damaged: the node is not reached, and whoever looks at it is told why.
      return undefined;
    }
  }

  return {
    encode(uuid, connection) {
      if (connection.kind === "volume") {
        return encodeRecord(FORMAT, [connection.kind, connection.path, connection.indexPath ?? null]);
      }
      const { kind, endpoint, bucket, region, ca, externalEndpoint, metricsPath, keys } = connection;
      const sealed = keys === undefined ? null : seal(uuid, keys);
      const optional = [ca ?? null, externalEndpoint ?? null];
      return encodeRecord(FORMAT, [kind, endpoint, bucket, region, ...optional, metricsPath, sealed]);
    },
    decode(uuid, value) {
      const reader = decodeRecord("node connection", value, FORMAT);
      if (reader.oneOf(KINDS) === "volume") {
        const path = reader.string();
        const indexPath = reader.optionalString();
        return { kind: "volume", path, ...(indexPath === undefined ? {} : { indexPath }) };
      }
      const [endpoint, bucket, region] = [reader.string(), reader.string(), reader.string()];
      const [ca, externalEndpoint] = [reader.optionalString(), reader.optionalString()];
      const metricsPath = reader.string();
      const sealed = reader.optionalBytes();
      const keys = sealed === undefined ? undefined : open(uuid, sealed);
      return {
        kind: "s3",
        endpoint,
        bucket,
        region,
        ...(ca === undefined ? {} : { ca }),
        ...(externalEndpoint === undefined ? {} : { externalEndpoint }),
        metricsPath,
        ...(keys === undefined ? {} : { keys }),
      };
    },
  };
}

/** The keys of one node are of no use in another's record. */
function boundTo(uuid: Id): Buffer {
  return Buffer.from(`${PURPOSE}:${uuid}`);
}
