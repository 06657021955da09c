/** A client that does one operation after the other on keys of its own, and notes what was acknowledged. */
import { ObjectError, type ObjectErrorCode } from "../../src/objects/api.ts";
import type { Random } from "../../src/shared/random.ts";
import { patternBytes } from "../support/blobs.ts";
import type { ObjectClient } from "../support/object-client.ts";
import type { History, Operation, State } from "./model.ts";
import { contentName, etagOf, type Sight } from "./observe.ts";

const KIB = 1024;
const BLOCK = 256 * KIB;
export const SHARED_BUCKET = "shared";
/** Nothing; a few bytes; small blobs; about a block; large blobs; two segments. */
const SIZES = [0, 1, 100, 100, 3_000, 3_000, 5_000, 9_000, 20_000, 66_000, BLOCK, BLOCK + 1, 400 * KIB];
const PART_SIZES = [1, 700, 4_000, 70_000];
const PARTS = 3;

export interface ClientDeps {
  readonly name: string;
  readonly objects: ObjectClient;
  readonly random: Random;
  readonly history: History;
  /** Steps of the disks so far. */
  readonly step: () => number;
}

interface Attempt {
  readonly what: string;
  readonly effects?: readonly (readonly [string, string | undefined])[];
  /** The error that it is to end with. */
  readonly code?: ObjectErrorCode | undefined;
  readonly run: () => Promise<void>;
}

export class Client {
  readonly #deps: ClientDeps;
  readonly #state: Map<string, string>;
  readonly #etags: Map<string, string>;
  readonly #uploadIds: Map<string, string>;
  /** What a part holds, by its ETag. */
  readonly #partContents = new Map<string, string>();
  readonly #ownBucket: string;
  readonly #paths: readonly string[];

  constructor(deps: ClientDeps, { state, etags, uploadIds }: Sight) {
    const { name } = deps;
    this.#deps = deps;
    this.#ownBucket = `own-${name}`;
    this.#paths = [
      ...["a", "b", "c", "d"].map((key) => `${SHARED_BUCKET}/${name}/${key}`),
      ...["e", "f"].map((key) => `${this.#ownBucket}/${name}/${key}`),
    ];
    this.#state = ofClient(state, name);
    this.#etags = new Map(etags);
    this.#uploadIds = new Map(uploadIds);
  }

  /**
   * Does one operation. @throws what it ends with, where it is not what it has to end with; its outcome is unknown then
   */
  async operate(): Promise<void> {
    const attempt = this.#choose();
    if (attempt === undefined) return;
    const { history, step } = this.#deps;
    const effects = new Map(attempt.code === undefined ? attempt.effects : []);
    const operation = history.begin({ what: attempt.what, startedAt: step(), effects });
    try {
      await attempt.run();
    } catch (error) {
      if (!(error instanceof ObjectError) || error.code !== attempt.code) throw error;
      this.#acknowledge(operation);
      return;
    }
    if (attempt.code !== undefined) throw new Error(`${attempt.what} succeeded instead of failing: ${attempt.code}`);
    this.#acknowledge(operation);
  }

  #acknowledge(operation: Operation): void {
    operation.acknowledgedAt = this.#deps.step();
    for (const [name, value] of operation.effects) {
      if (value === undefined) this.#state.delete(name);
      else this.#state.set(name, value);
    }
  }

  #choose(): Attempt | undefined {
    const path = this.#pick(this.#paths);
    if (!this.#state.has(`bucket ${bucketOf(path)}`)) return this.#createBucket(bucketOf(path));
    const choice = this.#deps.random.float();
    if (choice < 0.34) return this.#put(path);
    if (choice < 0.5) return this.#delete(path);
    if (choice < 0.62) return this.#copy(path, this.#pick(this.#paths));
    if (choice < 0.86) return this.#upload(path);
    if (choice < 0.92) return this.#get(path);
    if (choice < 0.96) return this.#list(bucketOf(path));
    return this.#deleteBucket();
  }

  #createBucket(bucket: string): Attempt {
    return {
      what: `creating ${bucket}`,
      effects: [[`bucket ${bucket}`, "there"]],
      run: () => this.#objects.createBucket(bucket),
    };
  }

  #deleteBucket(): Attempt | undefined {
    const bucket = this.#ownBucket;
    if (!this.#state.has(`bucket ${bucket}`)) return undefined;
    const inside = [...this.#state.keys()].filter((name) => name.split(" ")[1]?.startsWith(`${bucket}/`));
    const isEmpty = !inside.some((name) => name.startsWith("object "));
    return {
      what: `deleting ${bucket}`,
      effects: [`bucket ${bucket}`, ...inside].map((name) => [name, undefined]),
      code: isEmpty ? undefined : "bucket-not-empty",
      run: () => this.#objects.service.deleteBucket(bucket),
    };
  }

  #put(path: string): Attempt {
    const bytes = this.#bytes(SIZES);
    const [exists, condition] = [this.#state.has(`object ${path}`), this.#deps.random.float()];
    const conditions =
      condition < 0.1
        ? ({ ifNoneMatch: "*" } as const)
        : condition < 0.2
          ? { ifMatch: (condition < 0.18 ? this.#etags.get(path) : undefined) ?? etagOf(Buffer.from("another")) }
          : {};
    const fails =
      "ifNoneMatch" in conditions
        ? exists
        : "ifMatch" in conditions && !(exists && conditions.ifMatch === this.#etags.get(path));
    const code = "ifMatch" in conditions && !exists ? "no-such-key" : "precondition-failed";
    return {
      what: `putting ${bytes.length} bytes to ${path}`,
      effects: [[`object ${path}`, contentName(bytes)]],
      code: fails ? code : undefined,
      run: async () => {
        const { etag } = await this.#objects.put(path, bytes, { conditions });
        this.#etags.set(path, etag);
      },
    };
  }

  #delete(path: string): Attempt {
    return {
      what: `deleting ${path}`,
      effects: [[`object ${path}`, undefined]],
      run: () => this.#objects.delete(path),
    };
  }

  #copy(from: string, to: string): Attempt | undefined {
    const source = this.#state.get(`object ${from}`);
    if (source === undefined || from === to || !this.#state.has(`bucket ${bucketOf(to)}`)) return undefined;
    return {
      what: `copying ${from} to ${to}`,
      effects: [[`object ${to}`, source]],
      run: async () => {
        const { etag } = await this.#objects.copy(from, to);
        this.#etags.set(to, etag);
      },
    };
  }

  #upload(path: string): Attempt {
    const uploadId = this.#uploadIds.get(path);
    if (uploadId === undefined || !this.#state.has(`upload ${path}`)) {
      return {
        what: `starting an upload to ${path}`,
        effects: [[`upload ${path}`, "there"]],
        run: async () => {
          const upload = await this.#objects.createUpload(path);
          this.#uploadIds.set(path, upload.uploadId);
        },
      };
    }
    const slash = path.indexOf("/");
    const address = { bucket: path.slice(0, slash), key: path.slice(slash + 1), uploadId };
    const parts = [...this.#state].filter(([name]) => name.startsWith(`part ${path} `));
    const gone = [`upload ${path}`, ...parts.map(([name]) => name)].map((name) => [name, undefined] as const);
    const choice = this.#deps.random.float();
    if (choice < 0.1) {
      return { what: `aborting the upload to ${path}`, effects: gone, run: () => this.#objects.abort(address) };
    }
    if (parts.length === 0 || choice < 0.5) return this.#part(path, address);
    // One part alone may be of any size. What was uploaded besides is left out.
    const [name, etag] = this.#pick(parts);
    const content = this.#partContents.get(etag);
    if (content === undefined) return this.#part(path, address);
    return {
      what: `completing the upload to ${path}`,
      effects: [...gone, [`object ${path}`, content]],
      run: async () => {
        const partNumber = Number(name.slice(name.lastIndexOf(" ") + 1));
        const completed = await this.#objects.complete(address, [{ partNumber, etag }]);
        this.#etags.set(path, completed.etag);
      },
    };
  }

  #part(path: string, address: { bucket: string; key: string; uploadId: string }): Attempt {
    const bytes = this.#bytes(PART_SIZES);
    const number = 1 + Math.floor(this.#deps.random.float() * PARTS);
    const etag = etagOf(bytes);
    this.#partContents.set(etag, contentName(bytes));
    return {
      what: `uploading part ${number} to ${path}`,
      effects: [[`part ${path} ${number}`, etag]],
      run: async () => void (await this.#objects.part(address, number, bytes)),
    };
  }

  #get(path: string): Attempt {
    const expected = this.#state.get(`object ${path}`);
    return {
      what: `reading ${path}`,
      code: expected === undefined ? "no-such-key" : undefined,
      run: async () => {
        const content = contentName(await this.#objects.get(path));
        if (content !== expected) throw new Error(`${path} is ${content} instead of ${expected}`);
      },
    };
  }

  #list(bucket: string): Attempt {
    const { name } = this.#deps;
    const prefix = `${name}/`;
    const expected = [...this.#state.keys()].filter((fact) => fact.startsWith(`object ${bucket}/${prefix}`));
    return {
      what: `listing ${bucket}`,
      run: async () => {
        const { objects } = await this.#objects.list(bucket, { prefix });
        const listed = objects.map(({ key }) => `object ${bucket}/${key}`).join();
        if (listed !== expected.sort().join())
          throw new Error(`${bucket} lists ${listed} instead of ${expected.join()}`);
      },
    };
  }

  #bytes(sizes: readonly number[]): Uint8Array {
    const { random } = this.#deps;
    return patternBytes(this.#pick(sizes), Math.floor(random.float() * 2 ** 31));
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#deps.random.float() * items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  get #objects(): ObjectClient {
    return this.#deps.objects;
  }
}

/** The facts that the client changes, and the bucket that all share. */
function ofClient(state: State, name: string): Map<string, string> {
  const own = [...state].filter(([fact]) => {
    const path = fact.split(" ")[1] ?? "";
    return path === SHARED_BUCKET || path === `own-${name}` || path.split("/")[1] === name;
  });
  return new Map(own);
}

function bucketOf(path: string): string {
  return path.slice(0, path.indexOf("/"));
}
