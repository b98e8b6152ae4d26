-- Removes acknowledged entries from a mailbox; an empty one disappears.
-- KEYS: herald:box:{user}[:<device>]
-- ARGV: stream ids
-- Reply: entries left. 0: the box was seen empty and is gone; the session may go live.
-- Atomic, because "seen empty" and "gone" must be one step: an append in between would be deleted with the box, or
-- overtaken by what the session, believing itself live, is sent directly.
for i = 1, #ARGV, 1000 do -- unpack() is bound by the Lua stack
    redis.call('XDEL', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
local left = redis.call('XLEN', KEYS[1])
if left == 0 then
    redis.call('DEL', KEYS[1])
end
return left
