import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { NodeFigures } from "../../../../src/nodes/node-figures.ts";
import { MinioMetrics } from "../../../../src/nodes/s3/minio-metrics.ts";
import { parseSample } from "../../../../src/nodes/s3/prometheus-text.ts";

function figuresIn(...lines: readonly string[]): NodeFigures {
  const metrics = new MinioMetrics();
  for (const line of lines) {
    const sample = parseSample(line);
    if (sample !== undefined) metrics.add(sample);
  }
  return metrics.figures();
}

const capacity = (totalBytes: number, freeBytes: number): NodeFigures => ({
  capacity: { totalBytes, freeBytes, usedBytes: totalBytes - freeBytes },
});

test("the drives of a server are added up, as servers of before and after 2023 name them", () => {
  for (const kind of ["node_drive", "node_disk", "system_drive"]) {
    const figures = figuresIn(
      `minio_${kind}_total_bytes{drive="/d1",server="a:9000"} 100`,
      `minio_${kind}_total_bytes{drive="/d2",server="a:9000"} 1e3`,
      `minio_${kind}_free_bytes{drive="/d1",server="a:9000"} 40`,
      `minio_${kind}_free_bytes{drive="/d2",server="a:9000"} 5e2`,
    );
    assert.deepEqual(figures, capacity(1_100, 540), kind);
  }
});

test("where free bytes are not told, they follow from the used ones", () => {
  assert.deepEqual(
    figuresIn(
      'minio_node_drive_total_bytes{drive="/d1"} 100',
      'minio_node_drive_total_bytes{drive="/d2"} 100',
      'minio_node_drive_used_bytes{drive="/d1"} 10',
      'minio_node_drive_used_bytes{drive="/d2"} 30',
    ),
    capacity(200, 160),
  );
});

test("the usable capacity of a cluster counts before its raw one, and that before the drives of one server", () => {
  const drive = ["minio_node_drive_total_bytes 10", "minio_node_drive_free_bytes 1"];
  for (const prefix of ["minio_cluster_capacity", "minio_cluster_health_capacity"]) {
    const raw = [`${prefix}_raw_total_bytes 400`, `${prefix}_raw_free_bytes 200`];
    const usable = [`${prefix}_usable_total_bytes 200`, `${prefix}_usable_free_bytes 100`];
    assert.deepEqual(figuresIn(...drive, ...raw), capacity(400, 200));
    assert.deepEqual(figuresIn(...drive, ...raw, ...usable), capacity(200, 100));
  }
});

test("requests are added up over operations and servers", () => {
  assert.deepEqual(
    figuresIn(
      'minio_s3_requests_inflight_total{api="putobject",server="a"} 3',
      'minio_s3_requests_inflight_total{api="getobject",server="a"} 4',
      'minio_s3_requests_inflight_total{api="getobject",server="b"} 5',
      'minio_s3_requests_waiting_total{server="a"} 1',
      'minio_s3_requests_waiting_total{server="b"} 2',
    ),
    { inflight: 12, waiting: 3 },
  );
  assert.deepEqual(
    figuresIn(
      'minio_api_requests_inflight_total{name="PutObject",type="s3"} 3',
      'minio_api_requests_inflight_total{name="GetObject",type="s3"} 1',
      'minio_api_requests_waiting_total{type="s3"} 0',
    ),
    { inflight: 4, waiting: 0 },
  );
});

test("a server that tells of waiting requests and of no request under way has none", () => {
  assert.deepEqual(figuresIn("minio_s3_requests_waiting_total 0"), { inflight: 0, waiting: 0 });
});

test("nothing is known from metrics of something else", () => {
  assert.deepEqual(figuresIn("go_goroutines 12", "minio_node_drive_total 4", "minio_node_drive_free_inodes 9"), {});
});

test("a sum with a part that is no amount is not known, rather than too small", () => {
  const good = ['minio_node_drive_total_bytes{drive="/d1"} 100', 'minio_node_drive_free_bytes{drive="/d1"} 90'];
  for (const value of ["NaN", "+Inf", "-1"]) {
    assert.deepEqual(
      figuresIn(
        ...good,
        'minio_node_drive_total_bytes{drive="/d2"} 100',
        `minio_node_drive_free_bytes{drive="/d2"} ${value}`,
      ),
      {},
      value,
    );
  }
  assert.deepEqual(figuresIn("minio_s3_requests_inflight_total NaN", "minio_s3_requests_waiting_total 2"), {
    waiting: 2,
  });
});

test("a drive that tells its size and not what is free on it makes the sum unknown, rather than fuller", () => {
  assert.deepEqual(
    figuresIn(
      'minio_node_drive_total_bytes{drive="/d1"} 100',
      'minio_node_drive_total_bytes{drive="/d2"} 100',
      'minio_node_drive_free_bytes{drive="/d1"} 90',
    ),
    {},
  );
});

test("a server whose drives are not there yet has no capacity rather than none left", () => {
  assert.deepEqual(figuresIn("minio_node_drive_total_bytes 0", "minio_node_drive_free_bytes 0"), {});
});

test("the capacity is the sum over any drives, whatever their order and whatever stands between them", () => {
  const bytes = fc.nat(2 ** 40);
  const drives = fc.array(fc.tuple(bytes, bytes), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(drives, fc.array(fc.nat(50)), fc.nat(), (sizes, noise, turn) => {
      const lines = sizes.flatMap(([used, free], i) => [
        `minio_node_drive_total_bytes{drive="/d${i}"} ${used + free}`,
        `minio_node_drive_free_bytes{drive="/d${i}"} ${free}`,
      ]);
      lines.push(...noise.map((n) => `other_bytes{n="${n}"} ${n}`));
      const cut = turn % lines.length;
      const sum = (of: (size: [number, number]) => number): number =>
        sizes.reduce((total, size) => total + of(size), 0);
      const total = sum(([used, free]) => used + free);
      const figures = figuresIn(...lines.slice(cut), ...lines.slice(0, cut));
      assert.deepEqual(
        figures,
        total === 0
          ? {}
          : capacity(
              total,
              sum(([, free]) => free),
            ),
      );
    }),
  );
});
