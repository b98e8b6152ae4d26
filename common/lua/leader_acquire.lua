-- Takes or prolongs the lock of the leading registry.
-- KEYS: herald:leader, herald:leader:token
-- ARGV: id (unique for each life of a process), ttl in ms
-- Reply: [fencing token of the holder, 1 when the caller holds it else 0, id of the holder]
-- Value of the lock: "<token>\n<id>". A new holder's token is greater than all before, also when Redis was flushed:
-- it is at least Redis' time in ms, and tokens are taken far less often than once a ms.
-- Atomic, because two candidates that both see no lock must not both take it, and the token must belong to the taker.
local held = redis.call('GET', KEYS[1])
if held then
    local token, id = string.match(held, '^(%d+)\n(.*)$')
    if token and id == ARGV[1] then
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return {tonumber(token), 1, id}
    elseif token then
        return {tonumber(token), 0, id}
    end
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
local token = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[2], token)
redis.call('SET', KEYS[1], token .. '\n' .. ARGV[1], 'PX', ARGV[2])
return {tonumber(token), 1, ARGV[1]}
