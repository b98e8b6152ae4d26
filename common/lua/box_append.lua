-- Appends durable messages to a mailbox, in order, each source position once.
-- KEYS: herald:box:{user}[:<device>], herald:boxmark:{user}[:<device>], herald:route:{user}
-- ARGV: max entries, max bytes (0: not looked at), ttl in ms, n, then n times: source "topic/partition" ("": do not
--       check), offset, packed herald.v1.Delivery
-- Reply: [appended, skipped, trimmed, entries now, device, route value, device, route value ...]
-- An entry is a stream entry with one field, d. One whose offset is not beyond the last one appended from its source is
-- skipped: the mark is kept beside the box and as long as it, and outlives a box that was drained.
-- Beyond max entries the oldest go. Max bytes is approximate: what Redis estimates that the stream takes, which lags
-- behind deletions; entries are then cut in proportion, and the newest one always stays.
-- Atomic, because (1) the entries of one call must stand together and in order, (2) to look at the mark, append and
-- move the mark must be one step, or a record that two routers see around a rebalance enters twice, (3) the routes
-- returned must be those of the moment of the append: a session that registers later sees the box, one before it gets
-- a poke.
local appended, skipped, trimmed = 0, 0, 0
local max_count, max_bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 5, 4 + 3 * tonumber(ARGV[4]), 3 do
    local source, offset = ARGV[i], ARGV[i + 1]
    local last = source ~= '' and redis.call('HGET', KEYS[2], source)
    if last and tonumber(offset) <= tonumber(last) then
        skipped = skipped + 1
    else
        redis.call('XADD', KEYS[1], '*', 'd', ARGV[i + 2])
        if source ~= '' then
            redis.call('HSET', KEYS[2], source, offset)
        end
        appended = appended + 1
    end
end
if appended > 0 then
    trimmed = redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', max_count)
    local used = max_bytes > 0 and redis.call('MEMORY', 'USAGE', KEYS[1])
    if used and used > max_bytes then
        local keep = math.max(1, math.floor(redis.call('XLEN', KEYS[1]) * max_bytes / used))
        trimmed = trimmed + redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', keep)
    end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local reply = {appended, skipped, trimmed, redis.call('XLEN', KEYS[1])}
for _, word in ipairs(redis.call('HGETALL', KEYS[3])) do
    reply[#reply + 1] = word
end
return reply
