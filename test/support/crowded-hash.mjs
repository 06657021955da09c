// Loaded before a gateway (`node --import`): the hash of its rings has so few values that nearly all positions collide.
import { registerHooks } from "node:module";

const CROWDED = `
export default async () => ({
  h64(text) {
    let sum = 0;
    for (let at = 0; at < text.length; at++) sum = (sum * 31 + text.charCodeAt(at)) >>> 0;
    return BigInt(sum % 7) << 61n;
  },
});`;

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === "xxhash-wasm") return { url: "bulkhead-test:crowded", shortCircuit: true };
    return next(specifier, context);
  },
  load(url, context, next) {
    if (url === "bulkhead-test:crowded") return { format: "module", source: CROWDED, shortCircuit: true };
    return next(url, context);
  },
});
