/** Gauges whose values are asked for when they are scraped. */
import { Gauge, type Registry } from "prom-client";

export function liveGauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

/** What a reader gives, or nothing where it fails: one broken source must not cost the whole scrape. */
export async function settle<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}
