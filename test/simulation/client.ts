/**
 * What the clients of the simulation ask of a gateway, and what each answer says of the keys that it is about. A
 * version is known by a name in its metadata, its bytes by its ETag.
 */
import { ObjectError, type ObjectInfo, type ObjectService } from "../../src/objects/api.ts";
import { commonPrefixOf } from "../../src/objects/list-objects.ts";
import {
  type Attempt,
  absent,
  bucketFinding,
  ClientGoneError,
  failedCondition,
  type KnownCondition,
  keysOf,
  md5,
  named,
  nameIn,
  PART_FAILURES,
  present,
  split,
} from "./attempt.ts";
import type { Finding, History, OpenCall } from "./history.ts";
import { ABSENT, type Need, type Way } from "./linearizability.ts";
import { type Body, type Condition, type Op, STABLE } from "./plan.ts";
import type { Scheduler } from "./scheduler.ts";

const PRINCIPAL = { id: "root", displayName: "root" };
const NO_ETAG = "0".repeat(32);
const PRESENT = "present";

interface Upload {
  readonly uploadId: string;
  readonly path: string;
  /** Name of the version that it becomes. */
  readonly version: string;
  readonly parts: Map<number, string>;
}

export interface ClientDeps {
  readonly scheduler: Scheduler;
  readonly history: History;
  /** Uploads have several parts. */
  readonly large: boolean;
  readonly onViolation: (what: string) => void;
  /** Told of a read that found no copy: whether copies were taken away under it. */
  readonly onUnreadable: (error: unknown, beganAtMs: number) => void;
}

/** What came of an operation: its answer's name, or why there was none. */
export type Outcome = string;

/** All clients together: they share what they know of uploads and ETags. */
export class Clients {
  readonly #deps: ClientDeps;
  readonly #uploads = new Map<number, Upload>();
  /** The last ETag that anybody saw under a path. */
  readonly #etags = new Map<string, string>();
  #names = 0;

  constructor(deps: ClientDeps) {
    this.#deps = deps;
  }

  get uploads(): readonly Upload[] {
    return [...this.#uploads.values()];
  }

  /** Does one operation. Resolves with what came of it, at the latest when `gone` does: the gateway died. */
  async perform(op: Op, service: ObjectService, gone: Promise<"gone">): Promise<Outcome> {
    const attempt = this.#attempt(op, service);
    if (attempt === undefined) return "makes no sense now";
    const { history } = this.#deps;
    const { label, run, findings, maybe } = attempt;
    const call = history.call(label);
    try {
      const result = await Promise.race([run(call), gone]);
      if (result === "gone") {
        history.unanswered(call, maybe);
        return "the gateway died";
      }
      history.answered(call, [...findings(), ...result]);
      return "done";
    } catch (error) {
      return this.#failed(error, call, attempt);
    }
  }

  #failed(error: unknown, call: OpenCall, { op, failure, maybe }: Attempt): Outcome {
    const { history, onViolation } = this.#deps;
    if (error instanceof ClientGoneError) return "the client broke off";
    if (!(error instanceof ObjectError)) {
      onViolation(`${call.label} threw what is no ObjectError: ${String(error)}`);
      return "threw";
    }
    if (error.code === "unavailable" || error.code === "aborted") {
      history.unanswered(call, maybe);
      return error.code;
    }
    const { bucket } = error.details;
    if (error.code === "no-such-bucket" && typeof bucket === "string") {
      history.answered(call, bucketFinding(bucket, { is: "absent" }));
      if (bucket === STABLE) onViolation(`${call.label}: ${STABLE} is gone`);
    } else {
      const found = failure(error);
      if (found === undefined) onViolation(`${call.label} failed with ${error.code}, which ${op} cannot`);
      else history.answered(call, found);
    }
    return error.code;
  }

  #attempt(op: Op, service: ObjectService): Attempt | undefined {
    switch (op.op) {
      case "put":
        return this.#put(op, service);
      case "get":
      case "head":
        return this.#read(op, service);
      case "delete":
        return this.#delete(op, service);
      case "delete several":
        return this.#deleteSeveral(op, service);
      case "copy":
        return this.#copy(op, service);
      case "list":
        return this.#list(op, service);
      case "create bucket":
      case "delete bucket":
        return this.#bucket(op, service);
      case "start upload":
        return this.#startUpload(op, service);
      case "part":
      case "copy part":
        return this.#part(op, service);
      case "complete":
        return this.#complete(op, service);
      case "abort":
        return this.#abort(op, service);
    }
  }

  #put(op: Op & { op: "put" }, service: ObjectService): Attempt {
    const { path, body } = op;
    const version = this.#name();
    const bytes = this.#bytes(body);
    const etag = md5(bytes);
    this.#deps.history.noteVersion(version, etag);
    const condition = this.#condition(path, op.condition);
    const wrote = [{ path, ways: [{ need: condition.need, sets: version }] }, ...present(path)];
    return {
      op: op.op,
      label: `put ${path} ${version} (${bytes.length} bytes${condition.text})`,
      maybe: wrote,
      findings: () => wrote,
      failure: (error) => failedCondition(error, path, condition),
      run: async () => {
        const abort = new AbortController();
        const result = await service.putObject({
          principal: PRINCIPAL,
          ...split(path),
          body: { length: bytes.length, stream: this.#send(bytes, body, abort), expected: {} },
          attributes: named(version),
          conditions: condition.header,
          signal: abort.signal,
        });
        if (result.etag !== etag) this.#deps.onViolation(`put ${path} ${version} answered ETag ${result.etag}`);
        this.#etags.set(path, etag);
        return [];
      },
    };
  }

  #read(op: Op & { op: "get" | "head" }, service: ObjectService): Attempt {
    const { path } = op;
    const { scheduler } = this.#deps;
    const known = this.#deps.history.bytesOf(this.#etags.get(path) ?? "")?.length ?? 100;
    const range =
      op.op === "get" && op.range !== null
        ? { first: Math.floor(op.range[0] * known), last: Math.floor(op.range[1] * known) }
        : undefined;
    const usable = range !== undefined && range.first <= range.last ? { range } : {};
    const request = { ...split(path), conditions: {}, ...usable };
    const beganAtMs = scheduler.nowMs;
    return {
      op: op.op,
      label: `${op.op} ${path}`,
      maybe: [],
      findings: () => present(path),
      failure: (error) => {
        // What is shorter than we thought, and there nevertheless.
        if (error.code === "invalid-range") return [{ path, ways: [{ need: { is: "present" } }] }];
        return error.code === "no-such-key" ? absent(path) : undefined;
      },
      run: async () => {
        if (op.op === "head") {
          const { object } = await service.headObject(request);
          return this.#saw(path, object);
        }
        try {
          const { object, body, range: got } = await service.getObject(request);
          const whole = this.#deps.history.bytesOf(object.etag);
          const { start, end } = got ?? { start: 0, end: object.size };
          let at = start;
          for await (const chunk of body) {
            if (whole?.subarray(at, at + chunk.length).equals(chunk) !== true) {
              this.#deps.onViolation(`get ${path} ${nameIn(object)} answered other bytes at ${at} (I1)`);
            }
            if (op.holdMs > 0 && at === start) await this.#wait(op.holdMs);
            at += chunk.length;
          }
          if (at !== end) this.#deps.onViolation(`get ${path} ${nameIn(object)} ended at ${at} instead of ${end} (I1)`);
          return this.#saw(path, object);
        } catch (error) {
          if (error instanceof ObjectError && error.code === "unavailable") {
            this.#deps.onUnreadable(error, beganAtMs);
          }
          throw error;
        }
      },
    };
  }

  #delete(op: Op & { op: "delete" }, service: ObjectService): Attempt {
    const { path } = op;
    const condition = this.#condition(path, op.condition);
    const wrote = [{ path, ways: [{ need: condition.need, sets: ABSENT }] }, ...present(path)];
    const { ifMatch } = condition.header;
    return {
      op: op.op,
      label: `delete ${path}${condition.text}`,
      maybe: wrote,
      findings: () => wrote,
      failure: (error) => failedCondition(error, path, condition),
      run: async () => {
        await service.deleteObject({ ...split(path), ...(ifMatch === undefined ? {} : { ifMatch }) });
        return [];
      },
    };
  }

  #deleteSeveral(op: Op & { op: "delete several" }, service: ObjectService): Attempt {
    const { bucket, keys } = op;
    const gone = (key: string): Finding => ({
      path: `${bucket}/${key}`,
      ways: [{ need: { is: "anything" }, sets: ABSENT }],
    });
    return {
      op: op.op,
      label: `delete ${keys.map((key) => `${bucket}/${key}`).join(" ")}`,
      maybe: keys.map(gone),
      findings: () => [],
      failure: () => undefined,
      run: async (call) => {
        const outcomes = await service.deleteObjects({ bucket, targets: keys.map((key) => ({ key })) });
        const unknown = outcomes.flatMap((outcome) =>
          !outcome.deleted && outcome.error.code === "unavailable" ? [gone(outcome.target.key)] : [],
        );
        this.#deps.history.unanswered(call, unknown);
        return outcomes.flatMap((outcome) => (outcome.deleted ? [gone(outcome.target.key)] : []));
      },
    };
  }

  #copy(op: Op & { op: "copy" }, service: ObjectService): Attempt {
    const { from, to } = op;
    const version = this.#name();
    const condition = this.#condition(to, from === to ? "none" : op.condition);
    const wrote = (need: Need): Finding[] => [{ path: to, ways: [{ need, sets: version }] }, ...present(to)];
    return {
      op: op.op,
      label: `copy ${from} to ${to} ${version}${condition.text}`,
      maybe: wrote(condition.need),
      findings: () => [],
      failure: (error) => {
        if (error.code === "no-such-key" && error.details["key"] !== undefined) return absent(from);
        return failedCondition(error, to, condition);
      },
      run: async () => {
        const { history } = this.#deps;
        const { bucket, key } = split(from);
        const { etag } = await service.copyObject({
          principal: PRINCIPAL,
          ...split(to),
          source: { bucket, key, conditions: {} },
          attributes: named(version),
          conditions: condition.header,
        });
        history.noteVersion(version, etag);
        this.#etags.set(to, etag);
        const read: Need = { is: "etag", etag };
        return from === to
          ? wrote(read)
          : [...wrote(condition.need), { path: from, ways: [{ need: read }] }, ...present(from)];
      },
    };
  }

  #list(op: Op & { op: "list" }, service: ObjectService): Attempt {
    const { bucket, prefix, delimiter, maxKeys } = op;
    return {
      op: op.op,
      label: `list ${bucket} ${prefix}* by "${delimiter}"`,
      maybe: [],
      findings: () => bucketFinding(bucket, { is: "present" }),
      failure: () => undefined,
      run: async () => {
        const result = await service.listObjects({ bucket, prefix, delimiter, after: "", maxKeys });
        const listed = new Map(result.objects.map((object) => [object.key, object]));
        const { next, commonPrefixes } = result;
        return keysOf(bucket).flatMap((key): Finding[] => {
          const path = `${bucket}/${key}`;
          const object = listed.get(key);
          if (object !== undefined) return this.#saw(path, object);
          if (!key.startsWith(prefix)) return [];
          const common = commonPrefixOf(key, prefix, delimiter);
          if (next !== undefined && (common ?? key) > next) return [];
          // That one of several is there says nothing of any of them.
          return common !== undefined && commonPrefixes.includes(common) ? [] : absent(path);
        });
      },
    };
  }

  #bucket(op: Op & { op: "create bucket" | "delete bucket" }, service: ObjectService): Attempt {
    const { bucket } = op;
    const creates = op.op === "create bucket";
    const way: Way = creates ? { need: { is: "absent" }, sets: PRESENT } : { need: { is: "present" }, sets: ABSENT };
    const changed = [{ path: bucket, ways: [way] }];
    return {
      op: op.op,
      label: `${op.op} ${bucket}`,
      maybe: changed,
      findings: () =>
        creates ? changed : [...changed, ...keysOf(bucket).flatMap((key) => absent(`${bucket}/${key}`))],
      failure: ({ code }) =>
        code === (creates ? "bucket-exists" : "bucket-not-empty")
          ? bucketFinding(bucket, { is: "present" })
          : undefined,
      run: async () => {
        if (creates) await service.createBucket({ principal: PRINCIPAL, bucket, location: "" });
        else await service.deleteBucket(bucket);
        return [];
      },
    };
  }

  #startUpload(op: Op & { op: "start upload" }, service: ObjectService): Attempt {
    const { path, upload } = op;
    const version = this.#name();
    return {
      op: op.op,
      label: `start upload ${path} ${version}`,
      maybe: [],
      findings: () => [],
      failure: () => undefined,
      run: async () => {
        const { uploadId } = await service.createUpload({
          principal: PRINCIPAL,
          ...split(path),
          attributes: named(version),
        });
        this.#uploads.set(upload, { uploadId, path, version, parts: new Map() });
        return [];
      },
    };
  }

  #part(op: Op & { op: "part" | "copy part" }, service: ObjectService): Attempt | undefined {
    const upload = this.#uploads.get(op.upload);
    if (upload === undefined) return undefined;
    const { history } = this.#deps;
    const address = { ...split(upload.path), uploadId: upload.uploadId, partNumber: op.part };
    const absentUpload = (error: ObjectError): Finding[] | undefined =>
      PART_FAILURES.has(error.code) ? [] : undefined;
    const attempt = { op: op.op, maybe: [], findings: () => [], failure: absentUpload };
    if (op.op === "part") {
      const bytes = this.#bytes(op.body);
      return {
        ...attempt,
        label: `part ${op.part} of ${upload.version} (${bytes.length} bytes)`,
        run: async () => {
          const abort = new AbortController();
          const body = { length: bytes.length, stream: this.#send(bytes, op.body, abort), expected: {} };
          const { etag } = await service.uploadPart({ ...address, body, signal: abort.signal });
          upload.parts.set(op.part, etag);
          return [];
        },
      };
    }
    const known = history.bytesOf(this.#etags.get(op.from) ?? "");
    const cut = op.range ?? [0, 1];
    const [start, end] = [Math.floor(cut[0] * (known?.length ?? 0)), Math.floor(cut[1] * (known?.length ?? 0))];
    return {
      ...attempt,
      label: `copy part ${op.part} of ${upload.version} from ${op.from}`,
      run: async () => {
        const { bucket, key } = split(op.from);
        const range = op.range !== null && start < end ? { range: { start, end } } : {};
        const source = {
          bucket,
          key,
          conditions: known === undefined ? {} : { ifMatch: [this.#etags.get(op.from) ?? ""] },
        };
        const { etag } = await service.uploadPartCopy({ ...address, source, ...range });
        if (known === undefined) return [];
        const bytes = "range" in range ? known.subarray(start, end) : known;
        if (md5(bytes) !== etag) this.#deps.onViolation(`copy part of ${op.from} answered ETag ${etag} (I1)`);
        history.noteBytes(etag, bytes);
        upload.parts.set(op.part, etag);
        return [];
      },
    };
  }

  #complete(op: Op & { op: "complete" }, service: ObjectService): Attempt | undefined {
    const upload = this.#uploads.get(op.upload);
    if (upload === undefined || upload.parts.size === 0) return undefined;
    const { history, large } = this.#deps;
    const { path, version, uploadId } = upload;
    const known = [...upload.parts].sort(([a], [b]) => a - b);
    const all = known.map(([partNumber, etag]) => ({ partNumber, etag }));
    const parts = large ? all.filter((_, at) => !op.drop || at % 2 === 0) : op.drop ? all.slice(0, 1) : all.slice(-1);
    const pieces = parts.map(({ etag }) => history.bytesOf(etag) ?? Buffer.alloc(0));
    const digests = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, "hex")));
    const joined = `${md5(digests)}-${parts.length}`;
    history.noteBytes(joined, Buffer.concat(pieces));
    const condition = this.#condition(path, op.condition);
    const once = { name: uploadId, before: "open" } as const;
    const ended: Way = { need: { is: "anything" }, once: { name: uploadId, before: "done" } };
    const first: Finding = { path, ways: [{ need: condition.need, sets: version, once }] };
    return {
      op: op.op,
      label: `complete ${path} ${version} with ${parts.length} parts${condition.text}`,
      maybe: [first],
      findings: () => [],
      failure: (error) => {
        if (error.code === "no-such-upload") return [{ path, ways: [ended] }];
        if (error.code === "invalid-part" || error.code === "part-too-small") return [];
        return failedCondition(error, path, condition);
      },
      run: async () => {
        const { etag } = await service.completeUpload({
          ...split(path),
          uploadId,
          parts,
          conditions: condition.header,
        });
        this.#etags.set(path, etag);
        // Asked again, it answers for what it made, also where that was copied onto itself since.
        const again: Way = { need: { is: "etag", etag }, once: { name: uploadId, before: "done" } };
        if (etag !== joined) return [{ path, ways: [again] }];
        history.noteVersion(version, etag);
        return [{ path, ways: [...first.ways, again] }];
      },
    };
  }

  #abort(op: Op & { op: "abort" }, service: ObjectService): Attempt | undefined {
    const upload = this.#uploads.get(op.upload);
    if (upload === undefined) return undefined;
    const { path, uploadId } = upload;
    const finding = (before: "open" | "done"): Finding[] => [
      { path, ways: [{ need: { is: "anything" }, once: { name: uploadId, before } }] },
    ];
    return {
      op: op.op,
      label: `abort ${path} ${upload.version}`,
      maybe: finding("open"),
      findings: () => finding("open"),
      failure: ({ code }) => (code === "no-such-upload" ? finding("done") : undefined),
      run: async () => {
        await service.abortUpload({ ...split(path), uploadId });
        return [];
      },
    };
  }

  /** A version was seen under a path. */
  #saw(path: string, object: ObjectInfo): Finding[] {
    const version = nameIn(object);
    this.#deps.history.noteVersion(version, object.etag);
    this.#etags.set(path, object.etag);
    return [{ path, ways: [{ need: { is: "version", version } }] }];
  }

  #condition(path: string, kind: Condition): KnownCondition {
    switch (kind) {
      case "none":
        return { header: {}, need: { is: "anything" }, text: "" };
      case "if-none-match":
        return { header: { ifNoneMatch: "*" }, need: { is: "absent" }, text: ", if there is none" };
      case "if-match":
      case "if-match-wrong": {
        const etag = kind === "if-match" ? this.#etags.get(path) : NO_ETAG;
        if (etag === undefined) return this.#condition(path, "none");
        return { header: { ifMatch: etag }, need: { is: "etag", etag }, text: `, if it is ${etag}` };
      }
    }
  }

  #name(): string {
    return `v${++this.#names}`;
  }

  #bytes({ size }: Body): Buffer {
    const bytes = Buffer.alloc(size, `${++this.#names}.`);
    this.#deps.history.noteBytes(md5(bytes), bytes);
    return bytes;
  }

  /** A body as a client sends it. */
  async *#send(bytes: Buffer, { pieceMs, cut }: Body, abort: AbortController): AsyncGenerator<Uint8Array> {
    const half = Math.ceil(bytes.length / 2);
    if (pieceMs === 0 && !cut) {
      yield bytes;
      return;
    }
    yield bytes.subarray(0, half);
    if (pieceMs > 0) await this.#wait(pieceMs);
    if (cut) {
      abort.abort();
      throw new ClientGoneError();
    }
    yield bytes.subarray(half);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#deps.scheduler.after(ms, resolve);
    });
  }
}
