import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { MinioServer } from "./find-minio.ts";
import type { Gateway } from "./gateway.ts";

export type DisposableClient = S3Client & Disposable;

/** A client of the gateway with the SDK's own defaults. */
export function clientOf(gateway: Gateway, settings: S3ClientConfig = {}): DisposableClient {
  const { accessKey: accessKeyId, secretKey: secretAccessKey } = gateway.credentials;
  return makeClient({
    endpoint: gateway.s3Url,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    ...settings,
  });
}

/** A client whose calls fail at the first error, so that no failure is hidden by the SDK's retries. */
export function strictClientOf(gateway: Gateway): DisposableClient {
  return clientOf(gateway, { maxAttempts: 1 });
}

/** A client that looks at a node's bucket past the gateway. */
export function clientOfNode(server: MinioServer, settings: S3ClientConfig = {}): DisposableClient {
  return makeClient({
    endpoint: server.endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
    ...settings,
  });
}

function makeClient(settings: S3ClientConfig): DisposableClient {
  const client = new S3Client(settings);
  return Object.assign(client, { [Symbol.dispose]: () => client.destroy() });
}
