import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findProgram, succeed } from "./programs.ts";

export interface Certificates {
  /** The authority that signed the server's certificate, as PEM and as a file. */
  readonly ca: string;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** A sentence for a skip where certificates cannot be made. */
export function missingForCertificates(): string | undefined {
  return findProgram("openssl") === undefined ? "not on the PATH: openssl" : undefined;
}

/** A certificate authority of its own in `folder`, and a certificate of it for 127.0.0.1 and localhost. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<string> => succeed("openssl", args);
  await openssl(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-subj", "/CN=Bulkhead test authority", "-keyout", file("ca.key"), "-out", file("ca.crt")],
  );
  await openssl(
    ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"],
    ...["-keyout", file("private.key"), "-out", file("server.csr")],
  );
  await writeFile(file("server.ext"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  await openssl(
    ...["x509", "-req", "-days", "2", "-in", file("server.csr"), "-extfile", file("server.ext")],
    ...["-CA", file("ca.crt"), "-CAkey", file("ca.key"), "-CAcreateserial", "-out", file("public.crt")],
  );
  return {
    ca: await readFile(file("ca.crt"), "utf8"),
    caFile: file("ca.crt"),
    certificateFile: file("public.crt"),
    keyFile: file("private.key"),
  };
}
