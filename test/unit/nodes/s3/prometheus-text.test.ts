import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PrometheusTextError, parseSample, type Sample, samplesOf } from "../../../../src/nodes/s3/prometheus-text.ts";

const sample = (name: string, value: number, labels: Record<string, string> = {}): Sample => ({
  name,
  labels: new Map(Object.entries(labels)),
  value,
});

test("a sample is a name, labels, a value and maybe a time", () => {
  assert.deepEqual(parseSample("up 1"), sample("up", 1));
  assert.deepEqual(parseSample('a:b_c{x="1",y="two"} 3'), sample("a:b_c", 3, { x: "1", y: "two" }));
  assert.deepEqual(parseSample('a{x="1",} 3'), sample("a", 3, { x: "1" }));
  assert.deepEqual(parseSample("a{} 3"), sample("a", 3));
  assert.deepEqual(parseSample("a 3 1395066363000"), { ...sample("a", 3), timestampMs: 1_395_066_363_000 });
  assert.deepEqual(parseSample("a 3 -1"), { ...sample("a", 3), timestampMs: -1 });
});

test("blanks may stand between everything", () => {
  const spaced = parseSample('  a \t{ x = "1" , y="2" , } \t 3  \t 4 \t');
  assert.deepEqual(spaced, { ...sample("a", 3, { x: "1", y: "2" }), timestampMs: 4 });
});

test("values are what Go writes: exponents, infinities and NaN", () => {
  const values: readonly (readonly [string, number])[] = [
    ["9.7793294336e+10", 97_793_294_336],
    ["1.7e-7", 1.7e-7],
    ["1E3", 1_000],
    ["-0.5", -0.5],
    ["+5", 5],
    [".5", 0.5],
    ["5.", 5],
    ["+Inf", Number.POSITIVE_INFINITY],
    ["-Inf", Number.NEGATIVE_INFINITY],
    ["inf", Number.POSITIVE_INFINITY],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["NaN", Number.NaN],
  ];
  for (const [text, value] of values) assert.deepEqual(parseSample(`a ${text}`), sample("a", value), text);
});

test("backslashes, quotes and line breaks are escaped in a label's value; braces and commas are not", () => {
  const found = parseSample(String.raw`a{path="C:\\DIR\\F",err="say \"no\",\nno}",utf="é漢"} 1`);
  assert.deepEqual(found, sample("a", 1, { path: String.raw`C:\DIR\F`, err: 'say "no",\nno}', utf: "é漢" }));
});

test("comments and blank lines carry no sample", () => {
  for (const line of ["", "  \t", "# HELP a says \\n something", "# TYPE a counter", "  # a 1", "#"]) {
    assert.equal(parseSample(line), undefined, line);
  }
});

test("what is not in the format is refused", () => {
  const wrong = [
    "<html>",
    "a",
    "a ",
    "5a 1",
    "a-b 1",
    "a1-1",
    "a one",
    "a 0x1p3",
    "a 1_000",
    "a 1 2 3",
    "a 1 2.5",
    'a{x="1" 1',
    'a{x="1"} ',
    'a{x="1"}',
    "a{x=1} 1",
    "a{x='1'} 1",
    'a{x="1"y="2"} 1',
    'a{,x="1"} 1',
    'a{x="1",,} 1',
    'a{1x="1"} 1',
    'a{x="1",x="2"} 1',
    String.raw`a{x="\t"} 1`,
    'a{x="\\"} 1',
    '{x="1"} 1',
  ];
  for (const line of wrong) assert.throws(() => parseSample(line), PrometheusTextError, line);
});

const name = fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,20}$/);
const labelName = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,10}$/);
const blanks = fc.stringMatching(/^[ \t]{0,3}$/);
const anySample = fc.record({
  name,
  labels: fc.uniqueArray(fc.tuple(labelName, fc.string({ unit: "grapheme" })), {
    selector: ([key]) => key,
    maxLength: 5,
  }),
  value: fc.double(),
  timestampMs: fc.option(fc.integer()),
  blank: blanks,
});
type AnySample = typeof anySample extends fc.Arbitrary<infer T> ? T : never;

function write({ name, labels, value, timestampMs, blank }: AnySample): string {
  const escaped = (text: string): string =>
    text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  const list = labels.map(([key, text]) => `${blank}${key}${blank}=${blank}"${escaped(text)}"${blank}`).join(",");
  const set = labels.length === 0 ? "" : `${blank}{${list}}`;
  const number = Object.is(value, -0) ? "-0" : String(value).replace(/Infinity$/, "Inf");
  return `${blank}${name}${set} ${number}${timestampMs === null ? "" : ` ${timestampMs}`}${blank}`;
}

function expected({ name, labels, value, timestampMs }: AnySample): Sample {
  return { name, labels: new Map(labels), value, ...(timestampMs === null ? {} : { timestampMs }) };
}

test("every sample is read as it was written", () => {
  fc.assert(fc.property(anySample, (any) => assert.deepEqual(parseSample(write(any)), expected(any))));
});

test("no line brings anything but a sample, nothing or a refusal", () => {
  const piece = fc.constantFrom("a", "{", "}", '"', "=", ",", " ", "\\", "\\n", "1", "e", "-", "#", "NaN", "é", "\t");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      try {
        parseSample(pieces.join(""));
      } catch (error) {
        assert.ok(error instanceof PrometheusTextError);
      }
    }),
  );
});

async function read(chunks: readonly Uint8Array[]): Promise<Sample[]> {
  const samples: Sample[] = [];
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield* chunks;
  };
  for await (const found of samplesOf(source())) samples.push(found);
  return samples;
}

test("it does not matter where a text is cut into pieces, nor whether it ends in a line break", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anySample, { maxLength: 8 }),
      fc.array(fc.nat(2_000), { maxLength: 10 }),
      fc.boolean(),
      async (samples, cuts, ended) => {
        const text = Buffer.from(`# TYPE a gauge\n${samples.map(write).join("\n")}${ended ? "\n" : ""}`);
        const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
        const chunks = at.slice(1).map((end, i) => text.subarray(at[i], end));
        assert.deepEqual(await read(chunks), samples.map(expected));
      },
    ),
  );
});
