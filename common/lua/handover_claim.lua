-- Takes mailboxes that are due, so that no other router works on them until the claim runs out.
-- KEYS: herald:handover:{<shard>}, herald:handover:{<shard>}:claimed (score = end of the claim in ms)
-- ARGV: life of a claim in ms, most mailboxes
-- Reply: [Redis' time in ms, mailbox ...]
-- Claims that ran out (their router died) are due again at once.
-- Atomic, because of two routers that look at the same time one gets a mailbox.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local now_text = string.format('%.0f', now)
for _, mailbox in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now_text, 'LIMIT', 0, ARGV[2])) do
    redis.call('ZREM', KEYS[2], mailbox)
    redis.call('ZADD', KEYS[1], now_text, mailbox)
end
local reply = {now}
for _, mailbox in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_text, 'LIMIT', 0, ARGV[2])) do
    redis.call('ZREM', KEYS[1], mailbox)
    redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[1])), mailbox)
    reply[#reply + 1] = mailbox
end
return reply
