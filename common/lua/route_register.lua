-- A session opens, or registers again after Redis lost its route.
-- KEYS: herald:route:{user}, herald:devices:{user}, herald:box:{user}, herald:box:{user}:<device>
-- ARGV: device, instance, generation, connection, since, route ttl in ms, devices ttl in ms [, what this clock showed
--       when the session began, as far as that is certain; "0" or absent: not known]
-- since "0": a session that begins now, Redis gives the time. "-<ms>": never registered either, but it began that long
--       ago (Redis was away), so one that began after it wins. Else the time it was given before. A call that took long
--       to get here (Redis stood still) counts from when the session began, too; one that did not is not judged by that
--       time: the clock may have been set since it was read.
-- Reply: [since, entries in both boxes, 1 owner | 0 not, this clock in ms]. Not the owner: a newer session of this device is there;
--        nothing was written, since is the newer one's, and the caller closes with 4409.
-- Route value: "<instance> <generation> <connection> <since in ms>". An older session of this device that is
-- overwritten is told: PUBLISH herald:kick:<its instance> "<user>\n<device>\n<its connection> <its generation>".
-- A user's known devices are at most 64: the ones seen longest ago make room. When a device was last seen is written
-- again only where that is older than the route's life: each write is a quarter of the cost of all of this.
-- Atomic, because of two sessions of one device exactly one may end as the owner, whatever their order here; and
-- because box_append reads the route in one step with its append: whichever of the two comes second sees the first, so
-- no entry is left behind in a box that the session believes to be empty.
local DEVICES_MAX = 64
local LATE_MS = 250

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local since, began = tonumber(ARGV[5]), tonumber(ARGV[8] or '0')
if since <= 0 and began > 0 and now + since - began > LATE_MS then
    since = began - now
end
local instance, generation, connection, other_since
local value = redis.call('HGET', KEYS[1], ARGV[1])
if value then
    instance, generation, connection, other_since = string.match(value, '^(%S+) (%d+) (%d+) (%d+)$')
end
local is_other = instance and (instance ~= ARGV[2] or generation ~= ARGV[3] or connection ~= ARGV[4])
if since == 0 then
    since = now
    if is_other then
        since = math.max(now, tonumber(other_since) + 1)
    end
else
    if since < 0 then
        since = now + since
    end
    if is_other and tonumber(other_since) > since then
        return {tonumber(other_since), 0, 0, now}
    end
end
redis.call('HSET', KEYS[1], ARGV[1],
           string.format('%s %s %s %.0f', ARGV[2], ARGV[3], ARGV[4], since))
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if is_other then
    local user = string.match(KEYS[1], '{(.*)}$') or ''
    redis.call('PUBLISH', 'herald:kick:' .. instance,
               user .. '\n' .. ARGV[1] .. '\n' .. connection .. ' ' .. generation)
end

local is_new = redis.call('HSETNX', KEYS[2], ARGV[1], string.format('%.0f', now)) == 1
local age = is_new and 0 or now - tonumber(redis.call('HGET', KEYS[2], ARGV[1]))
if is_new or age < 0 or age >= math.min(tonumber(ARGV[6]), ARGV[7] / 4) then
    if not is_new then
        redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', now))
    end
    redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
if is_new and redis.call('HLEN', KEYS[2]) > DEVICES_MAX then
    local known = redis.call('HGETALL', KEYS[2])
    local oldest, oldest_seen
    for i = 1, #known, 2 do
        local seen = tonumber(known[i + 1]) or 0
        if known[i] ~= ARGV[1] and (not oldest or seen < oldest_seen) then
            oldest, oldest_seen = known[i], seen
        end
    end
    redis.call('HDEL', KEYS[2], oldest)
end
local entries = 0
if redis.call('EXISTS', KEYS[3], KEYS[4]) > 0 then
    entries = redis.call('XLEN', KEYS[3]) + redis.call('XLEN', KEYS[4])
end
return {since, entries, 1, now}
