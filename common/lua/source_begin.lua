-- A router begins to read a partition, or goes on with it: gives the partition's life, which together with the consumer
-- group's generation tells owners of it apart, the newer from the older.
-- KEYS: herald:source:<topic>/<partition>
-- ARGV: generation that the caller was assigned the partition in; offset: of the first record it read (begin), or one
--       that it has committed (go on); life: 0 begin, else the one it was given; ms after which a silent owner with a
--       higher generation is not believed any more
-- Reply: the life; 0: refused, another router owns the partition. To begin may be tried again.
-- A hash: life, generation, committed, seen (Redis' clock, ms). A new life begins, higher than any before, when the
-- offsets went back behind what was committed (the topic was made anew, or the operator has reset the group: offsets
-- then say nothing about what was appended before), or when generations did (the group was made anew; nobody who has
-- the higher one renews it), or when nothing is known. Offsets reported as committed must have been; when in doubt a
-- lower one is right.
-- Atomic, because of two routers one may own the partition.
local KEPT_MS = 90 * 24 * 3600 * 1000

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local generation, offset, own_life = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('HMGET', KEYS[1], 'life', 'generation', 'committed', 'seen')
local life, last_generation = tonumber(known[1]), tonumber(known[2])
local committed, seen = tonumber(known[3]) or 0, tonumber(known[4]) or 0
if own_life > 0 then
    if life and (life > own_life or life == own_life and last_generation > generation) then
        return 0
    end
    life, committed = own_life, math.max(committed, offset)
elseif not life then
    life = now
elseif last_generation > generation and now - seen < tonumber(ARGV[4]) then
    return 0
elseif last_generation > generation or offset < committed then
    life, committed = math.max(life + 1, now), 0
end
redis.call('HSET', KEYS[1], 'life', string.format('%.0f', life), 'generation', generation,
           'committed', string.format('%.0f', committed), 'seen', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], KEPT_MS)
return life
