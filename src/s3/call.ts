/**
 * What a handler is given: the request, taken apart and proven to be from whom it says.
 */
import type { ObjectService, Principal } from "../objects/api.ts";
import type { Checksums } from "../shared/checksums.ts";
import type { Answer } from "./http/answer.ts";
import type { IncomingBody } from "./http/incoming-body.ts";
import type { S3Request } from "./request.ts";
import type { ChunkSigning } from "./sigv4/authenticate.ts";
import type { PayloadMode } from "./sigv4/payload-mode.ts";

export interface S3Settings {
  readonly region: string;
  /** Base of virtual-hosted buckets, in lower case. */
  readonly domain?: string;
  /** Base URL that clients reach the server by, without a trailing slash. */
  readonly publicUrl?: string;
}

/** A body and how its request says that it is protected. */
export interface IncomingPayload {
  readonly incoming: IncomingBody;
  readonly mode: PayloadMode;
  /** Set where the body comes in signed chunks. */
  readonly chunkSigning?: ChunkSigning;
}

export interface ReadRedirects {
  /** Where a whole read of the object may be sent; `undefined` where it is served here. @throws ObjectError */
  redirect(target: {
    readonly bucket: string;
    readonly key: string;
    readonly versionId?: string;
  }): Promise<string | undefined>;
}

export interface Call {
  readonly objects: ObjectService;
  readonly checksums: Checksums;
  readonly settings: S3Settings;
  /** With the headers that a presigned URL brought in its query. */
  readonly request: S3Request;
  readonly payload: IncomingPayload;
  readonly principal: Principal;
  /** Whether the request is one that a URL alone makes: its sender follows redirects like any other client. */
  readonly byUrl: boolean;
  /** Absent where reads are never sent on to nodes. */
  readonly redirects?: ReadRedirects;
  /** Wall clock at the arrival of the request. */
  readonly nowMs: number;
  /** Aborted when the client goes. */
  readonly signal: AbortSignal;
}

export interface BucketCall extends Call {
  readonly bucket: string;
}

export interface ObjectCall extends BucketCall {
  readonly key: string;
}

export type Handler<C extends Call> = (call: C) => Promise<Answer>;
