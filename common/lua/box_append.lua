-- Appends durable messages to a mailbox, in order, each source position once, and keeps the mailbox within its caps.
-- KEYS: herald:box:{user}[:<device>], herald:boxmark:{user}[:<device>], herald:route:{user}, and, if any message has a
--       collapse key, herald:boxkeys:{user}[:<device>]
-- ARGV: max entries, max bytes (0: not looked at), ttl in ms, what to do when full (0: the oldest go, 1: new ones are
--       refused), n, then n times: source "topic/partition" ("": do not check), the source's life, the generation of
--       the consumer group that the caller holds the partition by, offset, packed herald.v1.Delivery; then, with the
--       fourth key, n collapse keys ("": none)
-- Reply: [codes, entries now, aged, collapsed, [packed Delivery that was taken out ...], device, route value ...]
--        One letter of codes for each message: a appended, s skipped (is or was in the box), f refused (full), o refused:
--        the caller does not own the partition any more. The first `aged` of those taken out were older than the ttl,
--        the next `collapsed` gave way to a newer one with their collapse key, the others had to make room. At most 256 are taken out for each reason in one call, the rest by later ones.
-- The mark, kept beside the box and as long as it, outlives a box that was drained. For each source: "<life>
-- <generation> <offset>" of the last one appended. An older life or generation is refused; in the same life an offset
-- that is not beyond it is skipped; in a newer life (source_begin) offsets begin anew.
-- boxkeys says where in the stream the last message with a collapse key stands. It is not told of what leaves: then it
-- points to nothing, and is cleaned when the box was empty, or when it has grown to twice what the box holds.
-- Max bytes is approximate: what Redis estimates that the stream takes, which lags behind deletions; entries are then
-- cut in proportion, and the newest one always stays.
-- Atomic, because (1) the entries of one call must stand together and in order, (2) to look at the mark, append and
-- move the mark must be one step, or a record that two routers see around a rebalance enters twice, (3) the routes
-- returned must be those of the moment of the append: a session that registers later sees the box, one before it gets
-- a poke.
local CUT_MAX = 256

local box, marks = KEYS[1], KEYS[2]
local max_count, max_bytes, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local is_newest_refused = ARGV[4] == '1'
local taken_out = {}

local function cut(entries)
    for _, entry in ipairs(entries) do
        redis.call('XDEL', box, entry[1])
        taken_out[#taken_out + 1] = entry[2][2]
    end
    return #entries
end

local function cut_oldest(count)
    return count > 0 and cut(redis.call('XRANGE', box, '-', '+', 'COUNT', math.min(count, CUT_MAX))) or 0
end

local function count_beyond_bytes()
    local used = max_bytes > 0 and redis.call('MEMORY', 'USAGE', box)
    if not used or used <= max_bytes then
        return 0
    end
    local length = redis.call('XLEN', box)
    return length - math.max(1, math.floor(length * max_bytes / used))
end

local keys, collapsed = KEYS[4], 0

-- The entry that a newer one with that key replaces.
local function find_older(key)
    local id = keys and key ~= '' and redis.call('HGET', keys, key)
    return id and redis.call('XRANGE', box, id, id)[1]
end

local function forget_stale_keys()
    local all = redis.call('HGETALL', keys)
    for i = 1, #all, 2 do
        if not redis.call('XRANGE', box, all[i + 1], all[i + 1])[1] then
            redis.call('HDEL', keys, all[i])
        end
    end
end

local time = redis.call('TIME')
local oldest = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - ttl
local aged = 0
if oldest > 0 then
    aged = cut(redis.call('XRANGE', box, '-', string.format('%.0f', oldest), 'COUNT', CUT_MAX))
end

local length = redis.call('XLEN', box)
local is_full = is_newest_refused and count_beyond_bytes() > 0
local codes = {}
if keys and length == 0 then
    redis.call('DEL', keys)
end
for i = 6, 5 + 5 * tonumber(ARGV[5]), 5 do
    local source, life, generation, offset = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    local mark = source ~= '' and redis.call('HGET', marks, source) or ''
    local last_life, last_generation, last_offset = string.match(mark, '^(%d+) (%d+) (-?%d+)$')
    last_life, last_generation, last_offset = tonumber(last_life), tonumber(last_generation), tonumber(last_offset)
    local key = ARGV[6 + 5 * tonumber(ARGV[5]) + (i - 6) / 5] or ''
    local older = find_older(key)
    local code = 'a'
    if last_life and (life < last_life or life == last_life and generation < last_generation) then
        code = 'o'
    elseif last_life == life and offset <= last_offset then
        code, offset = 's', last_offset
    elseif is_newest_refused and not older and (is_full or length >= max_count) then
        code, offset = 'f', last_life == life and last_offset or -1
    else
        if older then
            collapsed = collapsed + cut({older})
            length = length - 1
        end
        local id = redis.call('XADD', box, '*', 'd', ARGV[i + 4])
        length = length + 1
        if key ~= '' then
            redis.call('HSET', keys, key, id)
        end
    end
    if source ~= '' and code ~= 'o' then
        redis.call('HSET', marks, source, string.format('%.0f %.0f %.0f', life, generation, offset))
    end
    codes[#codes + 1] = code
end

if not is_newest_refused then
    cut_oldest(length - max_count)
    cut_oldest(count_beyond_bytes())
end
length = redis.call('XLEN', box)
if length == 0 then
    redis.call('DEL', box)
end
redis.call('PEXPIRE', box, ttl)
redis.call('PEXPIRE', marks, ttl)
if keys then
    if redis.call('HLEN', keys) > 2 * max_count then
        forget_stale_keys()
    end
    redis.call('PEXPIRE', keys, ttl)
end
local reply = {table.concat(codes), length, aged, collapsed, taken_out}
for _, word in ipairs(redis.call('HGETALL', KEYS[3])) do
    reply[#reply + 1] = word
end
return reply
