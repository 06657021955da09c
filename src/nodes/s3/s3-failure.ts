import { errors } from "undici";
import { systemErrorCode, toError } from "../../shared/errors.ts";
import { XmlError } from "../../shared/xml.ts";
import { NodeError, type NodeErrorKind } from "../storage-node.ts";

/** An answer of a node that is no success, with what it said. The cause of a NodeError. */
export class S3Failure extends Error {
  readonly status: number;
  /** S3's error code; absent where the answer carries none (HEAD, proxies). */
  readonly code: string | undefined;
  readonly requestId: string | undefined;
  /** The answer's Date, in milliseconds since the epoch. */
  readonly dateMs: number | undefined;
  /** Whether its message says that a drive has no room, which MinIO mostly hides behind an InternalError. */
  readonly outOfSpace: boolean;

  constructor(answer: Pick<S3Failure, "status" | "code" | "requestId" | "dateMs" | "outOfSpace">) {
    super("the node answered with an error");
    this.name = "S3Failure";
    this.status = answer.status;
    this.code = answer.code;
    this.requestId = answer.requestId;
    this.dateMs = answer.dateMs;
    this.outOfSpace = answer.outOfSpace;
  }
}

const KIND_BY_CODE: ReadonlyMap<string, NodeErrorKind> = new Map(
  Object.entries({
    NoSuchKey: "not-found",

    // Without its bucket a node is not the one we know; whether it was replaced is for its identity to tell.
    NoSuchBucket: "refused",
    PermanentRedirect: "refused",
    TemporaryRedirect: "refused",
    RequestTimeTooSkewed: "refused",
    NotImplemented: "refused",
    MethodNotAllowed: "refused",

    AccessDenied: "access-denied",
    AccountProblem: "access-denied",
    AllAccessDisabled: "access-denied",
    AuthorizationHeaderMalformed: "access-denied",
    ExpiredToken: "access-denied",
    InvalidAccessKeyId: "access-denied",
    InvalidRegion: "access-denied",
    InvalidSecurity: "access-denied",
    InvalidToken: "access-denied",
    NotSignedUp: "access-denied",
    SignatureDoesNotMatch: "access-denied",
    UnauthorizedAccess: "access-denied",

    QuotaExceeded: "full",
    XMinioAdminBucketQuotaExceeded: "full",
    XMinioStorageFull: "full",

    OperationAborted: "busy",
    RequestLimitExceeded: "busy",
    ServerBusy: "busy",
    ServiceUnavailable: "busy",
    SlowDown: "busy",
    Throttling: "busy",
    ThrottlingException: "busy",
    TooManyRequests: "busy",
    XMinioBucketMetadataNotInitialized: "busy",
    XMinioIAMNotInitialized: "busy",
    XMinioServerNotInitialized: "busy",

    InternalError: "io",
    // Names apart, MinIO says by these two that too few of its drives could be read or written, bit rot included.
    SlowDownRead: "io",
    SlowDownWrite: "io",
    XMinioBackendDown: "io",
    // An upload of ours that is gone, or a part that was acknowledged and is not there.
    NoSuchUpload: "io",
    InvalidPart: "io",

    BadDigest: "corrupt",
    XAmzContentChecksumMismatch: "corrupt",
    XAmzContentSHA256Mismatch: "corrupt",
    XMinioObjectTampered: "corrupt",
    // The caller's record says that the bytes are there.
    InvalidRange: "corrupt",

    RequestTimeout: "timeout",
    IncompleteBody: "unreachable",
    ClientDisconnected: "unreachable",
  } satisfies Record<string, NodeErrorKind>),
);

const KIND_BY_STATUS: Readonly<Record<number, NodeErrorKind>> = {
  401: "access-denied",
  403: "access-denied",
  405: "refused",
  408: "timeout",
  416: "corrupt",
  429: "busy",
  500: "io",
  501: "refused",
  502: "unreachable",
  503: "busy",
  504: "timeout",
  507: "full",
};

/** Certificates that do not verify: it may be another machine that answers. */
const CERTIFICATE_CODE =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|ERR_TLS_CERT_ALTNAME)/;

/** Of connecting, sending and parsing HTTP: undici's, the system's and OpenSSL's codes. */
const CONNECTION_CODE =
  /^(UND_ERR_(CONNECT_TIMEOUT|SOCKET|RES_CONTENT_LENGTH_MISMATCH|HEADERS_OVERFLOW|CLOSED|DESTROYED|INFO)$|HPE_|E(?!RR_)[A-Z]+$|ERR_SSL_|ERR_SOCKET_)/;

const MESSAGES: Readonly<Record<NodeErrorKind, string>> = {
  "not-found": "the node has no such object",
  unreachable: "the node cannot be reached, or what answers is no S3 service",
  timeout: "the node did not answer in time",
  busy: "the node asks for a pause",
  "access-denied": "the node refuses the credentials",
  full: "the node has no room",
  "read-only": "the node takes no writes",
  io: "the node cannot use its storage",
  corrupt: "the node's bytes are not the ones that were sent",
  refused: "the node is not, or does not do, what Bulkhead needs",
  aborted: "the caller gave up",
  invalid: "the node does not understand the call",
};

/**
 * The one place where what a node, the HTTP client and the system say becomes a NodeError. What is one already
 * passes unchanged.
 */
export function translateError(thrown: unknown): NodeError {
  if (thrown instanceof NodeError) return thrown;
  const kind = kindOf(thrown);
  return new NodeError(kind, MESSAGES[kind], { cause: toError(thrown) });
}

function kindOf(thrown: unknown): NodeErrorKind {
  if (thrown instanceof S3Failure) return kindOfFailure(thrown);
  // A document that cannot be read was not written by an S3 service.
  if (thrown instanceof XmlError) return "unreachable";
  // Some of these have no code.
  if (thrown instanceof errors.HTTPParserError) return "unreachable";
  const code = systemErrorCode(thrown);
  if (code === undefined) return "invalid";
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") return "timeout";
  if (CERTIFICATE_CODE.test(code)) return "refused";
  return CONNECTION_CODE.test(code) ? "unreachable" : "invalid";
}

function kindOfFailure({ status, code, outOfSpace }: S3Failure): NodeErrorKind {
  if (outOfSpace) return "full";
  const known = code === undefined ? undefined : KIND_BY_CODE.get(code);
  if (known !== undefined) return known;
  if (status >= 300 && status < 400) return "refused";
  const kind = KIND_BY_STATUS[status];
  if (kind !== undefined) return kind;
  if (status >= 500) return "io";
  // Without a code of S3's it was not the node that answered, but a proxy or some other service.
  return code === undefined ? "unreachable" : "invalid";
}

/** A sentence for an operator: the message and the codes behind it. Holds no secret. */
export function reasonOf(error: NodeError): string {
  const { cause } = error;
  if (cause instanceof S3Failure) return `${error.message} (${cause.status}${cause.code ? ` ${cause.code}` : ""})`;
  const code = systemErrorCode(cause);
  return code === undefined ? error.message : `${error.message} (${code})`;
}
