import { coordinatorContract } from "../contract/coordinator-contract.ts";
import { missingRedis } from "../support/redis-server.ts";
import { openRedisWorld } from "../support/redis-world.ts";

coordinatorContract("Redis", missingRedis(), () => openRedisWorld());
