-- Removes acknowledged entries from a mailbox; an empty one disappears.
-- KEYS: herald:box:{user}[:<device>]
-- ARGV: stream ids
-- Reply: [entries left, a string of 1 (removed by this call) and 0 (was gone already) for each id]. 0 left: the box was
--        seen empty and is gone; the session may go live. Of several devices that acknowledge an entry, one is told 1.
-- Atomic, because "seen empty" and "gone" must be one step: an append in between would be deleted with the box, or
-- overtaken by what the session, believing itself live, is sent directly.
local removed = {}
for i = 1, #ARGV do
    removed[i] = tostring(redis.call('XDEL', KEYS[1], ARGV[i]))
end
local left = redis.call('XLEN', KEYS[1])
if left == 0 then
    redis.call('DEL', KEYS[1])
end
return {left, table.concat(removed)}
