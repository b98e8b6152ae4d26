-- Writes or renews the lease of an instance.
-- KEYS: herald:lease:<instance>, herald:instances
-- ARGV: instance, generation, packed herald.v1.Lease, ttl in ms
-- Reply: 1 renewed; 2 written where there was none: at the first time, after it ran out, or because Redis was emptied;
--        0 refused, because a live lease of this name has a higher generation.
-- Value: "<generation>\n<packed Lease>", so that scripts can compare generations without knowing protobuf.
-- Atomic, because a process that was paused and replaced must not overwrite its successor's lease between a look
-- and a write: with two commands it could.
local held = redis.call('GET', KEYS[1])
local generation = held and tonumber(string.match(held, '^(%d+)\n'))
if generation and generation > tonumber(ARGV[2]) then
    return 0
end
redis.call('SET', KEYS[1], ARGV[2] .. '\n' .. ARGV[3], 'PX', ARGV[4])
redis.call('SADD', KEYS[2], ARGV[1])
return held and 1 or 2
