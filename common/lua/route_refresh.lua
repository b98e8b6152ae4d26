-- The owner of a route prolongs it; after a flush this writes it again.
-- KEYS: herald:route:{user}, herald:devices:{user}, herald:box:{user}, herald:box:{user}:<device>
-- ARGV: device, instance, generation, connection, since, route ttl in ms [, devices ttl in ms: 30 days when absent
--       [, "look": nothing is written where the route is as it was. Writing makes every router that has it cached ask again]]
-- Reply: [1, entries in both boxes]; [0, 0] when a newer session of this device is there: nothing was written, and the
--        caller closes with 4409.
-- An older session's value (it registered again late) is overwritten, and its owner told as in route_register.
-- Atomic, because a newer session may register between a look and a write, and would then be overwritten by the older.
local instance, generation, connection, other_since
local value = redis.call('HGET', KEYS[1], ARGV[1])
local own = ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5]
if value == own and ARGV[8] == 'look' then
    return {1, redis.call('XLEN', KEYS[3]) + redis.call('XLEN', KEYS[4])}
end
if value and value ~= own then
    instance, generation, connection, other_since = string.match(value, '^(%S+) (%d+) (%d+) (%d+)$')
end
local is_other = instance and (instance ~= ARGV[2] or generation ~= ARGV[3] or connection ~= ARGV[4])
if is_other and tonumber(other_since) > tonumber(ARGV[5]) then
    return {0, 0}
end
if value ~= own then
    redis.call('HSET', KEYS[1], ARGV[1], own)
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if is_other then
    local user = string.match(KEYS[1], '{(.*)}$') or ''
    redis.call('PUBLISH', 'herald:kick:' .. instance,
               user .. '\n' .. ARGV[1] .. '\n' .. connection .. ' ' .. generation)
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
redis.call('PEXPIRE', KEYS[2], ARGV[7] or '2592000000')
return {1, redis.call('XLEN', KEYS[3]) + redis.call('XLEN', KEYS[4])}
