-- Gives up the lock of the leading registry: compare-and-delete.
-- KEYS: herald:leader
-- ARGV: id, token
-- Reply: 1 released; 0 when it was no longer held with that token.
-- Atomic, because between a look and a delete the lock may expire and pass to another, whose lock must stand.
if redis.call('GET', KEYS[1]) ~= ARGV[2] .. '\n' .. ARGV[1] then
    return 0
end
redis.call('DEL', KEYS[1])
return 1
