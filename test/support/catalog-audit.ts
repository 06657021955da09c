/**
 * Checks the whole catalog against itself and against the nodes: every reference leads somewhere, everything that is
 * kept is referred to, what is kept beside a record says the same as the record, and nodes hold what is on record.
 */
import assert from "node:assert/strict";
import { goodCopies } from "../../src/catalog/blobs.ts";
import type { Kv } from "../../src/catalog/kv.ts";
import { wantsRepair } from "../../src/catalog/records/blob.ts";
import { type Part, runsOf } from "../../src/catalog/records/manifest.ts";
import type { Id } from "../../src/shared/ids.ts";
import { type CatalogContents, leftovers, liveBlobs, readCatalog } from "./catalog-contents.ts";
import type { TestNode } from "./in-memory-gateway.ts";

export { liveBlobs, readCatalog };

/** What is audited: a gateway in memory, or a world of the simulation. */
export interface Audited {
  readonly kv: Kv;
  readonly nodes: ReadonlyMap<string, Pick<TestNode, "name" | "uuid" | "store">>;
  nodeOf(uuid: Id): Pick<TestNode, "domain" | "store">;
}

export interface Audit {
  /** What contradicts; empty when all is well. */
  readonly problems: readonly string[];
  /** Copies on nodes that nothing names, as `node key`. Left only by writes that failed. */
  readonly orphans: readonly string[];
  readonly contents: CatalogContents;
}

export async function audit(gateway: Audited): Promise<Audit> {
  const contents = await readCatalog(gateway.kv);
  const problems: string[] = [];
  const check = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(problem);
  };
  checkReferences(contents, check);
  checkManifests(contents, check);
  checkCopies(contents, check);
  checkUsage(contents, check);
  const orphans: string[] = [];
  for (const { name, uuid, store } of gateway.nodes.values()) {
    for (const key of store.blobs.keys()) {
      const place = `${uuid}/${key}`;
      if (!contents.copies.has(place) && !contents.pendingDeletes.has(place)) orphans.push(`${name} ${key}`);
    }
  }
  for (const blob of liveBlobs(contents).values()) {
    blob.slots.forEach(({ state, location }, number) => {
      if (location === undefined || state === "corrupt") return;
      const stored = gateway.nodeOf(location.nodeUuid).store.blobs.get(location.key);
      check(stored?.bytes.length === blob.length, `slot ${number} of blob ${blob.blobId} is not on its node`);
      check(stored?.blobId === blob.blobId, `slot ${number} of blob ${blob.blobId} holds another blob`);
    });
  }
  return { problems, orphans, contents };
}

/** Fails unless the audit finds nothing wrong and, but for the orphans that it is told of, nothing too many. */
export async function assertSound(gateway: Audited): Promise<CatalogContents> {
  const { problems, orphans, contents } = await audit(gateway);
  assert.deepEqual({ problems, orphans }, { problems: [], orphans: [] });
  return contents;
}

/** Fails unless every slot of every live blob has its verified copy in its own domain, and each on another node. */
export async function assertFullyRedundant(gateway: Audited): Promise<void> {
  const contents = await assertSound(gateway);
  for (const { blobId, slots } of liveBlobs(contents).values()) {
    for (const { state, domain, location } of slots) {
      assert.equal(state, "ok", `a slot of blob ${blobId}`);
      assert.equal(location && gateway.nodeOf(location.nodeUuid).domain, domain, `a slot of blob ${blobId}`);
    }
    assert.equal(new Set(slots.map(({ location }) => location?.nodeUuid)).size, slots.length, `nodes of ${blobId}`);
  }
  assert.deepEqual([...contents.repairs.keys()], []);
}

/** Fails unless the catalog holds nothing of any object and the nodes are empty. */
export async function assertNothingLeft(gateway: Audited): Promise<void> {
  assert.deepEqual(leftovers(await readCatalog(gateway.kv)), []);
  for (const { name, store } of gateway.nodes.values()) assert.equal(store.blobs.size, 0, `copies on ${name}`);
}

type Check = (holds: boolean, problem: string) => void;

/** Every reference is from a version or a part that has it, and every one that there must be is there. */
function checkReferences(contents: CatalogContents, check: Check): void {
  const wanted = new Set<string>();
  for (const { versionId, content } of contents.versions.values()) {
    if (content.kind === "blob") wanted.add(`${content.blobId} ${versionId}`);
    if (content.kind === "manifest") wanted.add(`${content.manifestId} ${versionId}`);
  }
  const dyingParts = contents.dying.flatMap((dying) => (dying.kind === "part" ? [dying] : []));
  for (const { partId, extents } of [...contents.parts.values(), ...dyingParts]) {
    for (const { blobId, offset, length } of extents) {
      wanted.add(`${blobId} ${partId}`);
      const blob = contents.blobs.get(blobId);
      check(blob !== undefined, `part ${partId} refers to blob ${blobId}, which has no record`);
      check(
        offset >= 0 && length > 0 && offset + length <= (blob?.length ?? 0),
        `part ${partId}: an extent is out of blob`,
      );
    }
  }
  for (const each of wanted) check(contents.references.has(each), `the reference ${each} is missing`);
  for (const each of contents.references) check(wanted.has(each), `the reference ${each} has no owner`);
  const targets = new Set([...contents.references].map((each) => each.split(" ")[0]));
  for (const blobId of contents.blobs.keys()) check(targets.has(blobId), `nothing refers to blob ${blobId}`);
  for (const manifestId of contents.manifests.keys()) check(targets.has(manifestId), `nothing refers to ${manifestId}`);
  for (const target of targets) {
    const exists = target !== undefined && (contents.blobs.has(target) || contents.manifests.has(target));
    check(exists, `a reference leads to ${target}, which does not exist`);
  }
}

/** A manifest lists its parts, and every part is a manifest's, an upload's or about to go. */
function checkManifests(contents: CatalogContents, check: Check): void {
  const dying = new Set(contents.dying.flatMap((each) => (each.kind === "manifest" ? [each.manifestId] : [])));
  const parts = new Map<Id, Part[]>();
  for (const [place, part] of contents.parts) {
    const [manifestId = ""] = place.split("/");
    parts.set(manifestId, [...(parts.get(manifestId) ?? []), part]);
    const owners = [contents.manifests.has(manifestId), contents.uploads.has(manifestId), dying.has(manifestId)];
    check(
      owners.filter((owns) => owns).length === 1,
      `part ${place} has ${owners.filter((owns) => owns).length} owners`,
    );
    const extents = part.extents.reduce((sum, { length }) => sum + length, 0);
    check(extents === part.size, `part ${place} says ${part.size} bytes, its extents ${extents}`);
  }
  for (const [manifestId, runs] of contents.manifests) {
    check(runs === JSON.stringify(runsOf(parts.get(manifestId) ?? [])), `manifest ${manifestId} and its parts differ`);
  }
  for (const version of contents.versions.values()) {
    if (version.content.kind !== "manifest") continue;
    const own = parts.get(version.content.manifestId) ?? [];
    check(own.length === version.content.partCount, `version ${version.versionId} counts other parts than there are`);
    const size = own.reduce((sum, part) => sum + part.size, 0);
    check(size === version.size, `version ${version.versionId} says ${version.size} bytes, its parts ${size}`);
  }
  for (const uploadId of contents.partCounters) {
    check(contents.uploads.has(uploadId) || dying.has(uploadId), `a part counter of no upload ${uploadId}`);
  }
}

/** What is kept under the nodes and for repair follows from the blobs' records. */
function checkCopies(contents: CatalogContents, check: Check): void {
  const wantedRepairs = new Set<string>();
  const places = new Set<string>();
  for (const blob of liveBlobs(contents).values()) {
    const nodes = blob.slots.flatMap(({ location }) => (location === undefined ? [] : [location.nodeUuid]));
    check(new Set(nodes).size === nodes.length, `blob ${blob.blobId} has two copies on a node`);
    blob.slots.forEach((slot, number) => {
      if (wantsRepair(slot)) wantedRepairs.add(`${goodCopies(blob)} ${blob.blobId} ${number}`);
      // The place of a surplus copy that went before its blob is empty.
      const mayBeEmpty = slot.state === "missing" || slot.state === "surplus";
      check(
        slot.location === undefined ? mayBeEmpty : slot.state !== "missing",
        `slot ${number} of ${blob.blobId}: location`,
      );
      if (slot.location === undefined) return;
      const place = `${slot.location.nodeUuid}/${slot.location.key}`;
      check(!places.has(place), `${place} is the copy of two slots`);
      places.add(place);
      const entry = contents.copies.get(place);
      check(
        entry?.blobId === blob.blobId && entry.slot === number,
        `slot ${number} of ${blob.blobId} has no copy entry`,
      );
    });
  }
  for (const dying of contents.dying) {
    if (dying.kind !== "copies") continue;
    for (const { nodeUuid, key } of dying.copies) {
      const place = `${nodeUuid}/${key}`;
      check(!places.has(place), `${place} is dying and in use, or dying twice`);
      places.add(place);
      check(contents.copies.has(place), `the dying copy ${place} has no entry`);
    }
  }
  for (const place of contents.copies.keys()) check(places.has(place), `the copy entry ${place} belongs to nothing`);
  for (const each of wantedRepairs) {
    const dead = contents.deadLetters.has(each.slice(each.indexOf(" ") + 1));
    check(
      contents.repairs.has(each) !== dead,
      `${each} has ${dead ? "a repair entry beside a dead letter" : "no entry"}`,
    );
  }
  const wanted = new Set([...wantedRepairs].map((each) => each.slice(each.indexOf(" ") + 1)));
  for (const each of contents.deadLetters.keys()) check(wanted.has(each), `the dead letter ${each} is of nothing`);
  for (const each of contents.repairs.keys()) check(wantedRepairs.has(each), `the repair entry ${each} is of nothing`);
}

function checkUsage(contents: CatalogContents, check: Check): void {
  for (const bucketId of contents.buckets.keys()) {
    const versions = [...contents.versions].flatMap(([place, version]) =>
      place.startsWith(bucketId) ? [version] : [],
    );
    const bytes = versions.reduce((sum, { size }) => sum + size, 0);
    const [countedObjects, countedBytes] = contents.usage.get(bucketId) ?? [0, 0];
    check(countedObjects === versions.length, `bucket ${bucketId}: ${countedObjects} objects counted`);
    check(countedBytes === bytes, `bucket ${bucketId}: ${countedBytes} bytes counted, it has ${bytes}`);
  }
}
