/** One server that is ours to start and stop, however it is run. */
export interface MinioHost {
  readonly pid?: number | undefined;
  start(): Promise<void>;
  kill(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Ends it for good, whatever its state. */
  remove(): Promise<void>;
}

/** A network of its own that servers run in. */
export interface ServerNetwork {
  /** What a program is started by to run in it, before its own name. */
  readonly command: readonly string[];
  /** Where servers in it are reached. */
  readonly address: string;
}

export interface MinioHostOptions {
  readonly port: number;
  /** Programs only; else on 127.0.0.1. */
  readonly network?: ServerNetwork | undefined;
  readonly dataDir: string;
  /** Folders that are its drives, in place of the one at `dataDir`. */
  readonly drives?: readonly string[] | undefined;
  /** Folder with `public.crt` and `private.key`, for TLS. */
  readonly certificatesDir?: string;
  readonly env: Readonly<Record<string, string>>;
}
