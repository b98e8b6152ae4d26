-- Gives up the lease of an instance: compare-and-delete.
-- KEYS: herald:lease:<instance>, herald:instances
-- ARGV: instance, generation
-- Reply: 1 released; 0 when the lease is gone or belongs to another generation, and nothing was touched.
-- Atomic, because a late goodbye must not delete the lease that the next life of the instance has just written.
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^(%d+)\n') ~= ARGV[2] then
    return 0
end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[1])
return 1
