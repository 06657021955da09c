/** MinIO servers in containers. testcontainers is loaded when asked for: it takes half a second. */
import { toError } from "../../src/shared/errors.ts";
import type { MinioHost, MinioHostOptions } from "./minio-host.ts";

const MINIO_PORT = 9000;
const DATA = "/data";
const CERTIFICATES = "/certificates";
const START_TIMEOUT_MS = 60_000;

/** Why there can be no containers of this image, as a sentence for a skip; `undefined` where there can. */
export async function containersUnavailable(image: string): Promise<string | undefined> {
  try {
    const { getContainerRuntimeClient, ImageName } = await load();
    const client = await getContainerRuntimeClient();
    const name = ImageName.fromString(image);
    if (!(await client.image.exists(name))) await client.image.pull(name);
    return undefined;
  } catch (error) {
    return `no container of ${image}: ${toError(error).message}`;
  }
}

/** Not started yet. The drive is a folder of this machine, so that tests can look at it and change it. */
export async function createMinioContainer(image: string, options: MinioHostOptions): Promise<MinioHost> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await load();
  const client = await getContainerRuntimeClient();
  const { port, dataDir, drives, certificatesDir, env } = options;
  const binds = drives?.map((source, index) => ({ source, target: `${DATA}${index}` })) ?? [
    { source: dataDir, target: DATA },
  ];
  const command = ["server", "--address", `:${MINIO_PORT}`, ...binds.map(({ target }) => target)];
  if (certificatesDir !== undefined) {
    binds.push({ source: certificatesDir, target: CERTIFICATES });
    command.push("--certs-dir", CERTIFICATES);
  }
  const alive = Wait.forHttp("/minio/health/live", MINIO_PORT);
  const definition = new GenericContainer(image)
    .withEntrypoint(["minio"])
    .withCommand(command)
    .withEnvironment({ ...env })
    .withBindMounts(binds)
    // A port of our choice, since one that Docker chooses is another after a restart.
    .withExposedPorts({ container: MINIO_PORT, host: port })
    .withWaitStrategy(certificatesDir === undefined ? alive : alive.usingTls().allowInsecure())
    .withStartupTimeout(START_TIMEOUT_MS);
  // What it writes is then ours to change and remove.
  const [user, group] = [process.getuid?.(), process.getgid?.()];
  if (user !== undefined && group !== undefined) definition.withUser(`${user}:${group}`);

  let id: string | undefined;
  const container = () => {
    if (id === undefined) throw new Error("the MinIO server was never started");
    return client.container.getById(id);
  };
  return {
    async start() {
      if (id === undefined) id = (await definition.start()).getId();
      else await container().start();
    },
    async kill() {
      const { State } = await container().inspect();
      if (State.Paused) await container().unpause();
      if (State.Running) await container().kill({ signal: "SIGKILL" });
    },
    freeze: async () => void (await container().pause()),
    thaw: async () => void (await container().unpause()),
    async remove() {
      if (id !== undefined) await container().remove({ force: true, v: true });
    },
  };
}

/** Its reaper is an image of its own that cannot be pulled everywhere; the servers are removed by `close`. */
async function load(): Promise<typeof import("testcontainers")> {
  process.env["TESTCONTAINERS_RYUK_DISABLED"] ??= "true";
  return import("testcontainers");
}
