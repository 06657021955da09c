/** Reads the metrics that a server serves beside its S3 API, over the node's own connections. */
import type { Clock } from "../../shared/clock.ts";
import type { NodeFigures } from "../node-figures.ts";
import { NodeError } from "../storage-node.ts";
import type { HttpReply, HttpTransport } from "./http-transport.ts";
import { MinioMetrics } from "./minio-metrics.ts";
import { PrometheusTextError, samplesOf } from "./prometheus-text.ts";
import { S3Failure, translateError } from "./s3-failure.ts";
import type { MetricsPlace } from "./s3-options.ts";

/** A server with a hundred drives sends a few hundred KiB. */
export const SCRAPE_BYTES_MAX = 4 * 1024 * 1024;
/** From the request to the last byte of the answer. */
export const SCRAPE_MS_MAX = 5_000;

export interface MetricsScrapeOptions extends MetricsPlace {
  readonly transport: HttpTransport;
  readonly clock: Clock;
}

/**
 * One scrape.
 * @throws NodeError: `access-denied` where the server wants a token, or another; `refused` where what is there are no
 *   metrics of a server that we know; `timeout`, `unreachable`, `busy`; `aborted`. None of it says that the node is
 *   unfit to store and serve copies.
 */
export async function scrapeMetrics(options: MetricsScrapeOptions, signal?: AbortSignal): Promise<NodeFigures> {
  const { transport, clock, path, token } = options;
  const late = new AbortController();
  const timer = clock.startTimer(SCRAPE_MS_MAX, () => late.abort());
  try {
    const reply = await transport.exchange({
      method: "GET",
      path,
      headers: [
        "accept",
        "text/plain;version=0.0.4",
        ...(token === undefined ? [] : ["authorization", `Bearer ${token.reveal()}`]),
      ],
      signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
    });
    if (reply.status !== 200) throw failureOf(reply, token !== undefined);
    return await figuresIn(reply);
  } catch (error) {
    if (late.signal.aborted && signal?.aborted !== true) {
      throw new NodeError("timeout", "the node did not tell its metrics in time", { cause: error });
    }
    throw translateError(error);
  } finally {
    timer.stop();
  }
}

async function figuresIn(reply: HttpReply): Promise<NodeFigures> {
  const metrics = new MinioMetrics();
  try {
    for await (const sample of samplesOf(atMost(reply.body, SCRAPE_BYTES_MAX))) metrics.add(sample);
  } catch (error) {
    if (!(error instanceof PrometheusTextError)) throw error;
    throw new NodeError("refused", "what is at the metrics path are no metrics", { cause: error });
  }
  const figures = metrics.figures();
  if (figures.capacity === undefined && figures.waiting === undefined && figures.inflight === undefined) {
    throw new NodeError("refused", "the metrics tell neither capacity nor requests");
  }
  return figures;
}

async function* atMost(chunks: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new NodeError("refused", "the metrics are longer than any server's");
    yield chunk;
  }
}

function failureOf(reply: HttpReply, withToken: boolean): NodeError {
  const { status } = reply;
  reply.body.discard();
  const cause = new S3Failure({ status, code: undefined, requestId: undefined, dateMs: undefined, outOfSpace: false });
  if (status === 401 || status === 403) {
    const message = withToken
      ? "the node refuses the metrics token"
      : "the node does not tell its metrics without a token";
    return new NodeError("access-denied", message, { cause });
  }
  if (status === 429 || status >= 500) return new NodeError("busy", "the node cannot tell its metrics now", { cause });
  return new NodeError("refused", "there are no metrics at the metrics path", { cause });
}
