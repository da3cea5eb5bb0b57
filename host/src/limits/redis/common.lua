-- What all scripts share; put before each of them. The time is that of Redis: gateways' clocks may differ.
--
-- KEYS[1] is a sorted set of the gateways, by when each was last heard of, in ms. A gateway that wasn't for longer than
-- its lease is gone, and with it all that it holds.

local clock = redis.call('TIME')
local second = tonumber(clock[1])
local now = second * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- A whole number as Redis takes it: tostring() would write 1e+15.
local function text(number)
  return string.format('%.0f', number)
end

local function heard_of(gateway, lease)
  local at = redis.call('ZSCORE', KEYS[1], gateway)
  return at and tonumber(at) > now - lease
end

-- The window of a rate: a field for each second with something in it, `s` the latest of them that was looked at, `t` the
-- sum of the 61 seconds up to it, `y` the youngest with something in it. Forgets what is older, and tells the second to
-- add to and the sum.
local function window(key)
  local head = redis.call('HMGET', key, 's', 't')
  local last, total = tonumber(head[1]), tonumber(head[2])
  if not last or not total then
    return second, 0
  end
  if last >= second and last - second <= 61 then
    return last, total
  end
  -- All of it is old, or it is from the future: then the clock was set back.
  if last > second or second - last >= 61 then
    redis.call('DEL', key)
    return second, 0
  end
  local old = {}
  for past = last - 60, second - 61 do
    old[#old + 1] = text(past)
  end
  for index, sum in ipairs(redis.call('HMGET', key, unpack(old))) do
    if sum then
      total = total - tonumber(sum)
      redis.call('HDEL', key, old[index])
    end
  end
  redis.call('HSET', key, 's', text(second), 't', text(total))
  return second, total
end

local WINDOW_MS = 62000

local function add_to_window(key, at, amount)
  redis.call('HINCRBY', key, text(at), amount)
  redis.call('HINCRBY', key, 't', amount)
  redis.call('HSET', key, 's', text(at), 'y', text(at))
  redis.call('PEXPIRE', key, WINDOW_MS)
end

-- Adds to a sum that may not wrap: what is beyond all numbers stays the greatest.
local function add(key, field, amount)
  local sum = redis.pcall('HINCRBY', key, field, amount)
  if type(sum) == 'table' then
    redis.call('HSET', key, field, '9223372036854775807')
  end
end
