import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import { kvStoreContract } from "../../contract/kv-contract.ts";

kvStoreContract("memory", async () => ({ kv: memoryKv(), dispose: async () => undefined }));
