-- The work on a mailbox is done.
-- KEYS: herald:handover:{<shard>}, herald:handover:{<shard>}:claimed
-- ARGV: mailbox, when it is due again in ms by Redis' clock (0: not)
-- Reply: 1 the claim was still there, 0 it ran out.
-- Atomic, so that the mailbox is never in neither set while it is due again.
if ARGV[2] ~= '0' then
    redis.call('ZADD', KEYS[1], 'LT', ARGV[2], ARGV[1])
end
return redis.call('ZREM', KEYS[2], ARGV[1])
