/**
 * Keys that the gateway makes for itself at its first start and keeps in the data folder, readable by its owner only.
 */
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as z from "zod";
import type { KeyPair, Secrets } from "../config/config.ts";
import { systemErrorCode } from "../shared/errors.ts";
import type { Random } from "../shared/random.ts";
import { Secret } from "../shared/secret.ts";

export interface GatewayKeys {
  readonly rootKey: KeyPair;
  /** The root key as AWS's tools read it, when it was not configured. */
  readonly awsCredentialsFile?: string;
  readonly adminApiKey: Secret;
  /** Signs the identities of nodes. */
  readonly clusterKey: Uint8Array;
}

const CLUSTER_KEY_BYTES = 32;
const ADMIN_API_KEY_BYTES = 24;
/** As the configuration demands it of `server.admin.apiKey`. */
const ADMIN_API_KEY = /^[!-~]{8,256}$/;
const ACCESS_KEY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const rootKeySchema = z.object({ accessKey: z.string().min(3), secretKey: z.string().min(8) });

/** The key that signs the identities of nodes, undefined when the folder has none. @throws Error naming the file */
export async function readClusterKey(folder: string): Promise<Uint8Array | undefined> {
  const file = join(folder, "cluster-key");
  try {
    return clusterKeyOf(file, (await readFile(file, "utf8")).trim());
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function clusterKeyOf(file: string, text: string): Uint8Array {
  const key = Buffer.from(text, "hex");
  if (key.length !== CLUSTER_KEY_BYTES) throw new Error(`${file} holds no key`);
  return key;
}

/**
 * The configured keys, and for the others those of the folder, made where they are absent.
 * @throws Error naming the file that cannot be used
 */
export async function loadKeys(
  folder: string,
  secrets: Secrets,
  how: { readonly random: Random; readonly region: string },
): Promise<GatewayKeys> {
  const { random, region } = how;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const clusterKeyFile = join(folder, "cluster-key");
  const newClusterKey = (): string => Buffer.from(random.bytes(CLUSTER_KEY_BYTES)).toString("hex");
  const clusterKey = clusterKeyOf(clusterKeyFile, await readOrCreate(clusterKeyFile, newClusterKey));
  const adminApiKey = secrets.adminApiKey ?? (await loadAdminApiKey(join(folder, "admin-api-key"), random));
  if (secrets.rootKey !== undefined) return { rootKey: secrets.rootKey, adminApiKey, clusterKey };

  const rootKeyFile = join(folder, "root.json");
  const text = await readOrCreate(rootKeyFile, () => JSON.stringify(newRootKey(random), null, 2));
  const { accessKey, secretKey } = parseRootKey(rootKeyFile, text);
  const awsCredentialsFile = join(folder, "aws-credentials");
  await replaceFile(
    awsCredentialsFile,
    `[default]\naws_access_key_id = ${accessKey}\naws_secret_access_key = ${secretKey}\nregion = ${region}`,
  );
  return { rootKey: { accessKey, secretKey: new Secret(secretKey) }, awsCredentialsFile, adminApiKey, clusterKey };
}

async function loadAdminApiKey(file: string, random: Random): Promise<Secret> {
  const key = await readOrCreate(file, () => Buffer.from(random.bytes(ADMIN_API_KEY_BYTES)).toString("base64url"));
  // An empty one would open the API to everybody.
  if (!ADMIN_API_KEY.test(key)) {
    throw new Error(
      `${file} holds no API key; put 8 to 256 printable ASCII characters there, or remove it for a new one`,
    );
  }
  return new Secret(key);
}

function parseRootKey(file: string, text: string): z.infer<typeof rootKeySchema> {
  try {
    return rootKeySchema.parse(JSON.parse(text));
  } catch {
    // The cause would quote the file.
    throw new Error(
      `${file} holds no root key; put {"accessKey": ..., "secretKey": ...} there, or remove it for a new one`,
    );
  }
}

function newRootKey(random: Random): z.infer<typeof rootKeySchema> {
  const letters = [...random.bytes(16)].map((byte) => ACCESS_KEY_LETTERS[byte % ACCESS_KEY_LETTERS.length]);
  return { accessKey: `BHK${letters.join("")}`, secretKey: Buffer.from(random.bytes(30)).toString("base64url") };
}

/** The file's text, or what `create` makes, whole and durable before anybody relies on it. */
async function readOrCreate(file: string, create: () => string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
  const text = create();
  await replaceFile(file, text);
  return text;
}

/** Renamed into place, so that a crash leaves the whole file or none. */
async function replaceFile(file: string, text: string): Promise<void> {
  const draft = `${file}.new`;
  await writeDurably(draft, `${text}\n`);
  await rename(draft, file);
  await syncFolder(dirname(file));
}

async function writeDurably(file: string, text: string): Promise<void> {
  await using handle = await open(file, "w", 0o600);
  await handle.writeFile(text);
  await handle.sync();
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
}
