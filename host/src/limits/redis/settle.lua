-- Tells what became of claims, and that this gateway is there.
--
-- KEYS: the gateways, the number of the last batch of this gateway's process, then a counter for each change.
-- ARGV: the gateway, its lease in ms, the number of this batch, how long that is remembered in ms; then for each change:
--   back:  of a rate: the second, how much of what was taken in it wasn't needed (below 0);
--   late:  of a rate: nothing, how much more was used than was taken;
--   held:  of what this gateway holds: nothing, the difference;
--   spent: of money: how many ms ago, how much;
--   set:   of money: nothing, what is spent from now on, whatever was counted.
-- A batch counts once, however often it is sent. Returns whether the gateway was heard of in time.

local QUIET_MS = 10000

local me, lease, batch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local is_heard = heard_of(me, lease)
if is_heard then
  redis.call('ZADD', KEYS[1], text(now), me)
end
if #KEYS == 2 then
  return is_heard and 1 or 0
end
if tonumber(redis.call('GET', KEYS[2]) or '0') >= batch then
  return is_heard and 1 or 0
end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])

for change = 1, #KEYS - 2 do
  local key, first = KEYS[change + 2], 3 * change + 2
  local kind, when, amount = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  if kind == 'back' then
    local there = tonumber(redis.call('HGET', key, when))
    -- A second that is forgotten, or was lost with Redis's memory, has nothing to give back.
    if there and there > 0 then
      local difference = text(math.max(tonumber(amount), -there))
      redis.call('HINCRBY', key, when, difference)
      redis.call('HINCRBY', key, 't', difference)
    end
  elseif kind == 'late' then
    add_to_window(key, (window(key)), amount)
  elseif kind == 'held' then
    if is_heard then
      add(key, 'r:' .. me, amount)
      if tonumber(redis.call('HGET', key, 'r:' .. me)) <= 0 then
        redis.call('HDEL', key, 'r:' .. me)
      elseif redis.call('PTTL', key) < 0 then
        redis.call('PEXPIRE', key, ARGV[4])
      end
    end
  elseif kind == 'set' then
    -- For a while gateways may still say what the database said before.
    redis.call('HSET', key, 'sum', amount, 'db', amount, 'at', text(now), 'quiet', text(now + QUIET_MS))
    if redis.call('PTTL', key) < 0 then
      redis.call('PEXPIRE', key, ARGV[4])
    end
  else
    -- What was spent before the sum began is in the database's figure that it began with, or will be. In doubt it is not
    -- added: too little is put right by what the database says, too much would never be.
    local began = tonumber(redis.call('HGET', key, 'at'))
    if began and now - tonumber(when) > began then
      add(key, 'sum', amount)
    end
  end
end
return is_heard and 1 or 0
