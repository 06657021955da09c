/**
 * What each node holds of the journal, as far as this process knows: from listing a node once, and from what it wrote
 * and deleted itself since.
 */
import type { CopyKey } from "../../nodes/storage-node.ts";
import type { Id } from "../../shared/ids.ts";
import { type HeldPiece, type JournalNode, listPieces } from "./journal-nodes.ts";

/** A copy of a piece, and the node that it is on. */
export interface HeldCopy {
  readonly holder: JournalNode;
  readonly piece: HeldPiece;
}

export class Holdings {
  readonly #byNode = new Map<Id, Map<CopyKey, HeldPiece>>();
  readonly #refreshing = new Map<Id, Promise<void>>();

  /** Lists a node's pieces anew; two who ask at once share one listing. @throws NodeError */
  async refresh(from: JournalNode, signal?: AbortSignal): Promise<void> {
    const under = this.#refreshing.get(from.uuid) ?? this.#list(from, signal);
    this.#refreshing.set(from.uuid, under);
    try {
      await under;
    } finally {
      if (this.#refreshing.get(from.uuid) === under) this.#refreshing.delete(from.uuid);
    }
  }

  async #list({ uuid, node }: JournalNode, signal?: AbortSignal): Promise<void> {
    const before = this.#byNode.get(uuid);
    // What is added while the listing runs may not be in it.
    const meanwhile = new Map<CopyKey, HeldPiece>();
    this.#byNode.set(uuid, meanwhile);
    try {
      const pieces = await listPieces(node, signal);
      this.#byNode.set(uuid, new Map([...pieces.map((piece) => [piece.key, piece] as const), ...meanwhile]));
    } catch (error) {
      if (before === undefined) this.#byNode.delete(uuid);
      else this.#byNode.set(uuid, new Map([...before, ...meanwhile]));
      throw error;
    }
  }

  /** A node may hold something else now than it did. */
  forget(uuid: Id): void {
    this.#byNode.delete(uuid);
  }

  knows(uuid: Id): boolean {
    return this.#byNode.has(uuid);
  }

  /** Of a node that was never listed this is lost; the listing will have it. */
  add(uuid: Id, piece: HeldPiece): void {
    this.#byNode.get(uuid)?.set(piece.key, piece);
  }

  remove(uuid: Id, key: CopyKey): void {
    this.#byNode.get(uuid)?.delete(key);
  }

  of(uuid: Id): readonly HeldPiece[] {
    return [...(this.#byNode.get(uuid)?.values() ?? [])];
  }

  /** Of these nodes, in their order: who holds what. */
  *among(nodes: readonly JournalNode[]): Generator<HeldCopy> {
    for (const holder of nodes) for (const piece of this.of(holder.uuid)) yield { holder, piece };
  }
}
