/** The content of a file whose copies share what neither of them has changed since. */

const PAGE_BYTES = 16 * 1024;

interface Page {
  readonly bytes: Buffer;
  /** The file that may write to it in place; all others copy it first. */
  owner: PagedFile | undefined;
}

export class PagedFile {
  #pages: Page[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  copy(): PagedFile {
    const copy = new PagedFile();
    for (const page of this.#pages) page.owner = undefined;
    copy.#pages = [...this.#pages];
    copy.#length = this.#length;
    return copy;
  }

  /** @returns how many bytes there were to read */
  read(target: Uint8Array, position: number): number {
    const end = Math.min(this.#length, position + target.length);
    for (let at = position; at < end; ) {
      const start = at % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - start, end - at);
      const page = this.#pages[Math.floor(at / PAGE_BYTES)];
      if (page !== undefined) target.set(page.bytes.subarray(start, start + count), at - position);
      at += count;
    }
    return Math.max(0, end - position);
  }

  write(source: Uint8Array, position: number): void {
    this.#grow(position + source.length);
    for (let at = 0; at < source.length; ) {
      const start = (position + at) % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - start, source.length - at);
      const page = this.#writable(Math.floor((position + at) / PAGE_BYTES));
      page.set(source.subarray(at, at + count), start);
      at += count;
    }
  }

  truncate(length: number): void {
    if (length > this.#length) {
      this.#grow(length);
      return;
    }
    this.#length = length;
    this.#pages.length = Math.ceil(length / PAGE_BYTES);
    const rest = length % PAGE_BYTES;
    // What grows over the cut again has to be zero.
    if (rest > 0) this.#writable(this.#pages.length - 1).fill(0, rest);
  }

  #grow(length: number): void {
    if (length <= this.#length) return;
    this.#length = length;
    while (this.#pages.length * PAGE_BYTES < length) {
      this.#pages.push({ bytes: Buffer.alloc(PAGE_BYTES), owner: this });
    }
  }

  #writable(number: number): Buffer {
    const page = this.#pages[number];
    if (page === undefined) throw new RangeError("beyond the end of the file");
    if (page.owner === this) return page.bytes;
    const bytes = Buffer.from(page.bytes);
    this.#pages[number] = { bytes, owner: this };
    return bytes;
  }
}
