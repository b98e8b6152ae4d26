-- A session ends: compare-and-delete of its route.
-- KEYS: herald:route:{user}
-- ARGV: device, instance, generation, connection
-- Reply: 1 removed; 0 when the route is gone or another session's, and nothing was touched.
-- Atomic, because a late disconnect must not delete the route of the connection that replaced it.
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value or string.match(value, '^(%S+ %d+ %d+) ') ~= ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4] then
    return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
