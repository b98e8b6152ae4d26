-- Publishes the membership snapshot, fenced by the leader's lock.
-- KEYS: herald:members, herald:leader, herald:members:version
-- ARGV: id, token, packed herald.v1.Members without its version
-- Reply: the version; 0 refused, because the caller does not hold the lock with that token (any more).
-- Value: "<version>\n<packed Members>". The version is greater than all before, also when Redis was flushed: it is at
-- least Redis' time in ms. It is told on the channel herald:membership.
-- Atomic, because a leader that was paused beyond its lock must not overwrite its successor's snapshot: the lock is
-- looked at in the same step that writes.
if redis.call('GET', KEYS[2]) ~= ARGV[2] .. '\n' .. ARGV[1] then
    return 0
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = tonumber(redis.call('GET', KEYS[3]) or '0') or 0
local version = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[3], version)
redis.call('SET', KEYS[1], version .. '\n' .. ARGV[3])
redis.call('PUBLISH', 'herald:membership', version)
return tonumber(version)
