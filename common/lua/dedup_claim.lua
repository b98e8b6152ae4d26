-- Claims a producer-given id for one source position.
-- KEYS: herald:dedup:{user}:<id>
-- ARGV: source position "topic/partition/offset", window in ms
-- Reply: the position that holds the id: ARGV[1] itself when it was free, or when this position has claimed it before
--        (a redelivered record: it goes on); another position's when the message is a duplicate.
-- The window counts from the first claim.
-- Atomic, because of two records with one id exactly one may find it free, whichever routers they come to.
local holder = redis.call('GET', KEYS[1])
if holder then
    return holder
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
