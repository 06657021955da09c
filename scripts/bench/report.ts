import Table from "cli-table3";

/** One measurement of one server: a case in a round. */
export interface Sample {
  readonly server: string;
  readonly name: string;
  readonly operationsPerSecond: number;
  readonly mebibytesPerSecond: number;
  readonly latencyMsMedian: number;
  readonly latencyMs99: number;
  readonly cpuMicrosecondsPerOperation: number;
}

export interface Row {
  readonly name: string;
  readonly servers: Readonly<Record<string, Omit<Sample, "server" | "name">>>;
  /** Operations per second of the first server over the other's; above 1 the first is faster. */
  readonly ratios: Readonly<Record<string, number>>;
}

/** Medians over the rounds, a row for each case in the order in which they came. */
export function summarize(samples: readonly Sample[], servers: readonly string[]): Row[] {
  const names = [...new Set(samples.map((sample) => sample.name))];
  return names.map((name) => {
    const medians = Object.fromEntries(
      servers.map((server) => [
        server,
        medianOf(samples.filter((sample) => sample.name === name && sample.server === server)),
      ]),
    );
    const [subject, ...peers] = servers;
    const speed = (server: string | undefined): number => medians[server ?? ""]?.operationsPerSecond ?? Number.NaN;
    return {
      name,
      servers: medians,
      ratios: Object.fromEntries(peers.map((peer) => [peer, speed(subject) / speed(peer)])),
    };
  });
}

export function formatTable(rows: readonly Row[], servers: readonly string[]): string {
  const peers = servers.slice(1);
  const table = new Table({
    head: [
      "",
      ...servers.flatMap((server) => [`${server} op/s`, "MiB/s", "p50 ms", "p99 ms", "CPU us/op"]),
      ...peers.map((peer) => `ratio to ${peer}`),
    ],
    style: { head: [], border: [], compact: true },
    colAligns: ["left"],
  });
  for (const row of rows) {
    table.push([
      row.name,
      ...servers.flatMap((server) => {
        const one = row.servers[server];
        if (one === undefined) return ["", "", "", "", ""];
        return [
          round(one.operationsPerSecond),
          round(one.mebibytesPerSecond),
          round(one.latencyMsMedian),
          round(one.latencyMs99),
          Math.round(one.cpuMicrosecondsPerOperation),
        ];
      }),
      ...peers.map((peer) => (row.ratios[peer] ?? Number.NaN).toFixed(2)),
    ]);
  }
  return table.toString();
}

function medianOf(samples: readonly Sample[]): Omit<Sample, "server" | "name"> {
  const median = (value: (sample: Sample) => number): number => {
    const values = samples.map(value).sort((a, b) => a - b);
    const middle = Math.floor(values.length / 2);
    const [low = Number.NaN, high = Number.NaN] = [
      values[values.length % 2 === 0 ? middle - 1 : middle],
      values[middle],
    ];
    return (low + high) / 2;
  };
  return {
    operationsPerSecond: median((sample) => sample.operationsPerSecond),
    mebibytesPerSecond: median((sample) => sample.mebibytesPerSecond),
    latencyMsMedian: median((sample) => sample.latencyMsMedian),
    latencyMs99: median((sample) => sample.latencyMs99),
    cpuMicrosecondsPerOperation: median((sample) => sample.cpuMicrosecondsPerOperation),
  };
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
