import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import { kvContract } from "../../contract/kv-contract.ts";

kvContract("memory", async () => ({ kv: memoryKv(), dispose: async () => undefined }));
