/**
 * What is done in Redis as one step. Keys get the cluster's prefix; times are Redis's own, so that gateways need not
 * agree on theirs. For Redis 6.2 and later.
 */
import { createHash } from "node:crypto";
import type { Redis } from "ioredis";

export interface Script {
  readonly lua: string;
  readonly sha1: string;
}

function script(lua: string): Script {
  return { lua, sha1: createHash("sha1").update(lua).digest("hex") };
}

/**
 * KEYS: lease. ARGV: instance, number of the attempt, milliseconds.
 * A process has at most one attempt at a name at a time, and holds it not when it tries. What an earlier attempt of its
 * own got, without the process learning of it, is in nobody's hands; one that arrives late replaces nothing.
 */
export const ACQUIRE = script(`
local holder = redis.call('GET', KEYS[1])
if holder then
  local own = ARGV[1] .. ':'
  if string.sub(holder, 1, #own) ~= own then return 0 end
  if tonumber(string.sub(holder, #own + 1)) >= tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'PX', ARGV[3])
return 1`);

/** KEYS: lease. ARGV: holder, milliseconds. */
export const RENEW = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`);

/** KEYS: lease. ARGV: holder. */
export const RELEASE = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);

/** KEYS: bucket. ARGV: amount, per second, burst, longest life in milliseconds. Returns milliseconds to wait. */
export const TAKE = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local amount, rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local had = burst
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
if bucket[1] and bucket[2] then
  had = math.min(burst, tonumber(bucket[1]) + math.max(0, now - tonumber(bucket[2])) / 1000 * rate)
end
local wait = 0
if had >= amount then had = had - amount
else wait = math.max(1, math.ceil((amount - had) / rate * 1000)) end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', had), 'at', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(tonumber(ARGV[4]), math.ceil(burst / rate * 1000) + 1000)))
return wait`);

/** KEYS: state, index of names. ARGV: name, document, milliseconds, names at most, life of the index, prefix of states. */
export const PUT_STATE = script(`
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) and not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  for _, name in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    if redis.call('EXISTS', ARGV[6] .. name) == 0 then redis.call('ZREM', KEYS[2], name) end
  end
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1`);

/** KEYS: state, index of names. ARGV: name. */
export const DROP_STATE = script(`
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])`);

/** KEYS: index of names. ARGV: prefix, prefix of states, documents at most. Returns names and documents in turn. */
export const STATES = script(`
local found = {}
local from = '[' .. ARGV[1]
while true do
  local names = redis.call('ZRANGEBYLEX', KEYS[1], from, '(' .. ARGV[1] .. '\\127', 'LIMIT', 0, 500)
  for _, name in ipairs(names) do
    local document = redis.call('GET', ARGV[2] .. name)
    if document then
      found[#found + 1] = name
      found[#found + 1] = document
      if #found >= 2 * tonumber(ARGV[3]) then return found end
    else
      redis.call('ZREM', KEYS[1], name)
    end
  end
  if #names < 500 then return found end
  from = '(' .. names[#names]
end`);

/** KEYS: series. ARGV: sample, samples at most, milliseconds kept. */
export const ADD_SAMPLE = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], '*', 'sample', ARGV[1])
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', now - tonumber(ARGV[3])))
return redis.call('PEXPIRE', KEYS[1], ARGV[3])`);

/** KEYS: series. ARGV: since, milliseconds kept. Returns the entries of the stream. */
export const SAMPLES = script(`
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[2])
return redis.call('XRANGE', KEYS[1], string.format('%.0f', math.max(oldest, tonumber(ARGV[1]))), '+')`);

/** Runs a script by its hash, and by its text where Redis does not know it (yet, or any more). */
export async function runScript(
  redis: Redis,
  { lua, sha1 }: Script,
  { keys, args }: { readonly keys: readonly string[]; readonly args: readonly (string | number)[] },
): Promise<unknown> {
  try {
    return await redis.evalsha(sha1, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return await redis.eval(lua, keys.length, ...keys, ...args);
  }
}
