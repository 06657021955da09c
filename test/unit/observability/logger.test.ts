import assert from "node:assert/strict";
import { test } from "node:test";
import { createLoggers, type Loggers, type LogLevel } from "../../../src/observability/logger.ts";
import type { Clock } from "../../../src/shared/clock.ts";
import { Secret } from "../../../src/shared/secret.ts";

const clock: Clock = { nowMs: () => 0, monotonicMs: () => 0, startTimer: () => ({ stop() {} }) };

function recorder(level: LogLevel = "info"): { loggers: Loggers; lines: unknown[]; text(): string } {
  const texts: string[] = [];
  const loggers = createLoggers({ level, clock, stream: { write: (line) => void texts.push(line) } });
  return {
    loggers,
    text: () => texts.join(""),
    get lines() {
      return texts.map((line): unknown => JSON.parse(line));
    },
  };
}

test("a line is one JSON object with its level, time, part and fields", () => {
  const recording = recorder();
  const logger = recording.loggers.named("s3").child({ requestId: "abc" });
  logger.info({ bytes: 7 }, "object stored");
  logger.debug({}, "not at this level");
  assert.deepEqual(recording.lines, [
    {
      level: "info",
      time: "1970-01-01T00:00:00.000Z",
      name: "s3",
      requestId: "abc",
      bytes: 7,
      message: "object stored",
    },
  ]);
});

test("an error keeps its type, code, kind, stack and causes, and nothing else that hangs on it", () => {
  const recording = recorder();
  const cause = Object.assign(new TypeError("inner"), { code: "ECONNRESET" });
  const error = Object.assign(new Error("outer", { cause }), { kind: "io", headers: { authorization: "hush" } });
  recording.loggers.named("nodes").error({ err: error }, "failed");
  const [line] = recording.lines as { err: Record<string, unknown> }[];
  assert.equal(line?.err["type"], "Error");
  assert.equal(line?.err["kind"], "io");
  assert.match(String(line?.err["stack"]), /outer/);
  const inner = line?.err["cause"] as Record<string, unknown>;
  assert.deepEqual([inner["type"], inner["message"], inner["code"]], ["TypeError", "inner", "ECONNRESET"]);
  assert.ok(!recording.text().includes("hush"));
});

test("a circle of causes ends", () => {
  const recording = recorder();
  const error = new Error("round");
  error.cause = error;
  recording.loggers.named("nodes").error({ err: error }, "failed");
  assert.equal(recording.text().match(/"message":"round"/g)?.length, 6);
});

test("secrets do not show, be they wrapped or under a name that tells", () => {
  const recording = recorder();
  const logger = recording.loggers.named("server");
  logger.info({ key: new Secret("hush"), secretKey: "hush", node: { secretKey: "hush" } }, "shown");
  logger.info({ headers: { authorization: "hush", cookie: "hush" }, apiKey: "hush" }, "shown");
  assert.ok(!recording.text().includes("hush"), recording.text());
});
