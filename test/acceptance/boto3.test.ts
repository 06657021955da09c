import { join } from "node:path";
import { overEveryLayout } from "../support/clusters.ts";
import { missingPrograms, runProgram, succeed } from "../support/programs.ts";

const SUITE = join(import.meta.dirname, "boto3_defaults.py");

/** A sentence for a skip where Python or boto3 is not there. */
async function missingBoto3(): Promise<string | undefined> {
  const missing = missingPrograms("python3");
  if (missing !== undefined) return missing;
  const { code } = await runProgram("python3", ["-c", "import boto3"]);
  return code === 0 ? undefined : "python3 has no boto3";
}

overEveryLayout("boto3", await missingBoto3(), (check) => {
  check("its defaults work: checksums, multipart transfers, paginators, presigned URLs", async ({ gateway }) => {
    await succeed("python3", ["-B", SUITE], {
      env: {
        AWS_ACCESS_KEY_ID: gateway.credentials.accessKey,
        AWS_SECRET_ACCESS_KEY: gateway.credentials.secretKey,
        AWS_ENDPOINT_URL_S3: gateway.s3Url,
        AWS_DEFAULT_REGION: "us-east-1",
        AWS_CONFIG_FILE: "/dev/null",
        AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
        AWS_EC2_METADATA_DISABLED: "true",
        AWS_MAX_ATTEMPTS: "1",
      },
    });
  });
});
