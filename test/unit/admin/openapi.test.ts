import assert from "node:assert/strict";
import { test } from "node:test";
import { API_KEY_HEADER, API_PATHS } from "../../../src/admin/api-types.ts";
import { DIRECT_PATHS } from "../../../src/admin/direct-types.ts";
import { JOB_PATHS } from "../../../src/admin/job-types.ts";
import { openApiDocument } from "../../../src/admin/openapi.ts";
import { PROMOTION_PATHS } from "../../../src/admin/promotion-types.ts";
import { REPAIR_PATHS } from "../../../src/admin/repair-types.ts";

type Json = { readonly [name: string]: Json } | readonly Json[] | string | number | boolean | null;

const document: Json = JSON.parse(JSON.stringify(openApiDocument("1.2.3")));

/** What lies at a path of names. */
function at(value: Json | undefined, ...names: readonly string[]): Json | undefined {
  let found = value;
  for (const name of names) {
    if (typeof found !== "object" || found === null || Array.isArray(found)) return undefined;
    found = new Map(Object.entries(found)).get(name);
  }
  return found;
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : assert.fail("a text was expected");
}

function entries(value: Json | undefined): [string, Json][] {
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}

/** Every value of a name anywhere in the document. */
function* named(name: string, value: Json = document): Generator<Json> {
  for (const [key, each] of entries(value)) {
    if (key === name) yield each;
    yield* named(name, each);
  }
}

const METHODS = ["get", "post", "put", "patch", "delete"];

test("the description is of OpenAPI 3.1 and says what it must of itself", () => {
  assert.equal(at(document, "openapi"), "3.1.0");
  assert.equal(at(document, "info", "version"), "1.2.3");
  assert.equal(typeof at(document, "info", "title"), "string");
  assert.equal(at(document, "info", "license", "identifier"), "Apache-2.0");
});

test("every path that the server has is described, and no other", () => {
  const paths = [
    "/healthz",
    "/readyz",
    "/metrics",
    API_PATHS.status,
    API_PATHS.workers,
    API_PATHS.domains,
    API_PATHS.replication,
    API_PATHS.events,
    `${API_PATHS.nodes}/{name}/rejoin`,
    API_PATHS.nodes,
    `${API_PATHS.nodes}/{name}`,
    `${API_PATHS.domains}/{name}`,
    API_PATHS.config,
    API_PATHS.reload,
    JOB_PATHS.jobs,
    `${JOB_PATHS.jobs}/{id}`,
    `${JOB_PATHS.jobs}/{id}/failures`,
    `${JOB_PATHS.jobs}/{id}/pause`,
    `${JOB_PATHS.jobs}/{id}/resume`,
    `${JOB_PATHS.nodes}/{name}/drain`,
    `${JOB_PATHS.domains}/{name}/drain`,
    JOB_PATHS.rebalance,
    API_PATHS.scrub,
    API_PATHS.journal,
    API_PATHS.snapshot,
    API_PATHS.verify,
    API_PATHS.rebuild,
    API_PATHS.changes,
    API_PATHS.prove,
    API_PATHS.durability,
    REPAIR_PATHS.repair,
    REPAIR_PATHS.deadLetters,
    REPAIR_PATHS.replay,
    `${REPAIR_PATHS.deadLetters}/{blob_id}/{slot}`,
    PROMOTION_PATHS.promotions,
    PROMOTION_PATHS.promote("{name}"),
    PROMOTION_PATHS.demote("{name}"),
    `${API_PATHS.objects}/{bucket}/{key}`,
    DIRECT_PATHS.presign,
    DIRECT_PATHS.pins,
    `${DIRECT_PATHS.pins}/{pin}`,
    DIRECT_PATHS.buckets,
    `${DIRECT_PATHS.buckets}/{name}`,
  ];
  assert.deepEqual(
    entries(at(document, "paths")).map(([path]) => path),
    paths,
  );
  for (const path of paths) assert.ok(path.startsWith("/"));
});

test("every call has a summary, answers with descriptions, and its path's parameters declared", () => {
  for (const [path, item] of entries(at(document, "paths"))) {
    const calls = METHODS.flatMap((method) => at(item, method) ?? []);
    assert.ok(calls.length > 0, path);
    for (const call of calls) {
      assert.equal(typeof at(call, "summary"), "string", path);
      const responses = entries(at(call, "responses"));
      assert.ok(
        responses.some(([status]) => ["200", "201", "202"].includes(status)),
        path,
      );
      for (const [status, response] of responses) {
        assert.match(status, /^[1-5]\d\d$/);
        assert.equal(typeof at(response, "description"), "string", `${path} ${status}`);
      }
    }
    const wanted = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    const declared = entries(at(item, "parameters")).flatMap(([, parameter]) =>
      at(parameter, "in") === "path" ? [at(parameter, "name")] : [],
    );
    assert.deepEqual(declared, wanted, path);
    for (const [, parameter] of entries(at(item, "parameters"))) {
      assert.equal(typeof at(parameter, "required"), "boolean");
      if (at(parameter, "in") === "path") assert.equal(at(parameter, "required"), true);
    }
  }
});

test("the key is wanted where the server wants it, under the name that it reads", () => {
  const scheme = at(document, "components", "securitySchemes", "apiKey");
  assert.deepEqual([at(scheme, "type"), at(scheme, "in")], ["apiKey", "header"]);
  assert.equal(textOf(at(scheme, "name")).toLowerCase(), API_KEY_HEADER);
  for (const [path, item] of entries(at(document, "paths"))) {
    for (const call of METHODS.flatMap((method) => at(item, method) ?? [])) {
      const guarded = at(call, "security") !== undefined;
      assert.equal(guarded, path.startsWith("/api/"), path);
      if (!guarded) continue;
      for (const status of ["401", "403"]) assert.ok(at(call, "responses", status) !== undefined);
    }
  }
});

test("every reference leads to a schema, and every schema is referred to", () => {
  const schemas = entries(at(document, "components", "schemas")).map(([name]) => `#/components/schemas/${name}`);
  const references = new Set([...named("$ref")].map(textOf));
  assert.deepEqual([...references].sort(), schemas.sort());
  assert.ok(schemas.length >= 10);
});

test("every property that is required is described, and answers have no others", () => {
  for (const [name, schema] of entries(at(document, "components", "schemas"))) {
    const properties = entries(at(schema, "properties")).map(([property]) => property);
    assert.ok(properties.length > 0, name);
    for (const [, required] of entries(at(schema, "required"))) assert.ok(properties.includes(textOf(required)), name);
    for (const property of properties) assert.match(property, /^[a-z]+(_[a-z]+)*$/, `${name}: names are in snake case`);
  }
});
