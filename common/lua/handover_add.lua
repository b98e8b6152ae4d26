-- Notes that something waits in a mailbox, to be handed over when it is due.
-- KEYS: herald:handover:{<shard>} (waiting: member = mailbox, score = due in ms)
-- ARGV: mailbox ("<user>\n<device>"), delay in ms, most members
-- Reply: 1 noted, 0 was noted already (for an earlier time, which stands), -1 full.
-- A mailbox that is being worked on is in the other set, and so noted again: nothing stored meanwhile is forgotten.
-- Atomic, so that the set does not grow beyond its bound.
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
    return 0
end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
    return -1
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
return 1
