import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyedMutex } from "../../../src/shared/keyed-mutex.ts";
import { turns } from "../../support/in-memory-gateway.ts";

test("tasks of one key run one after the other, in the order asked", async () => {
  const mutex = new KeyedMutex();
  const log: string[] = [];
  await Promise.all(
    [3, 1, 2].map((wait, index) =>
      mutex.run("a", async () => {
        log.push(`begin ${index}`);
        await turns(wait);
        log.push(`end ${index}`);
      }),
    ),
  );
  assert.deepEqual(log, ["begin 0", "end 0", "begin 1", "end 1", "begin 2", "end 2"]);
});

test("tasks of different keys run side by side", async () => {
  const mutex = new KeyedMutex();
  const gate = Promise.withResolvers<void>();
  const slow = mutex.run("a", () => gate.promise);
  assert.equal(await mutex.run("b", async () => "done"), "done");
  gate.resolve();
  await slow;
});

test("a task's result and failure are its caller's alone, and the next runs all the same", async () => {
  const mutex = new KeyedMutex();
  const failed = mutex.run("a", () => Promise.reject(new Error("mine")));
  const next = mutex.run("a", async () => 7);
  await assert.rejects(failed, /mine/);
  assert.equal(await next, 7);
  const thrown = mutex.run("a", () => {
    throw new Error("at once");
  });
  await assert.rejects(thrown, /at once/);
  assert.equal(await mutex.run("a", async () => 8), 8);
});

test("a task that is asked for while the last one ends waits its turn", async () => {
  const mutex = new KeyedMutex();
  let underWay = 0;
  const task = async (): Promise<void> => {
    assert.equal(++underWay, 1);
    await turns(1);
    underWay--;
  };
  const chain = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await mutex.run("a", task);
  };
  await Promise.all([chain(), chain(), chain()]);
});
