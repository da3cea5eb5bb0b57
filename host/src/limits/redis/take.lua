-- Takes all claims of a call, or none.
--
-- KEYS: the gateways, then the counter of each claim.
-- ARGV: the gateway, its lease in ms; then for each claim: rate, held or money; the amount; the limit, or nothing;
--   of money what the database says is spent; how long the counter is kept, in ms; by how much what this gateway holds
--   has changed, which happens whether the claims are taken or not.
-- Returns taken, the second, and for each claim what is used and the ms until all of that is free;
--   or refused, the position of the claim, what is used, and the ms until there is room, or -1;
--   or lost: this gateway was not heard of for too long, and what it holds may have been given back.

local lease = tonumber(ARGV[2])
if not heard_of(ARGV[1], lease) then
  return { 'lost' }
end

local alive
local function is_alive(gateway)
  if not alive then
    alive = {}
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. text(now - lease), '+inf')) do
      alive[name] = true
    end
  end
  return alive[gateway]
end

-- Places and money that this gateway has given back are free at once, for its next call at least.
local function change_held(key, difference)
  if difference ~= '0' then
    add(key, 'r:' .. ARGV[1], difference)
    if tonumber(redis.call('HGET', key, 'r:' .. ARGV[1])) <= 0 then
      redis.call('HDEL', key, 'r:' .. ARGV[1])
    end
  end
end

for claim = 1, #KEYS - 1 do
  change_held(KEYS[claim + 1], ARGV[6 * claim + 2])
end

-- A counter as a table: what gateways hold of it, without those that are gone, and its other fields.
local function counter(key)
  local fields, held = {}, 0
  local all = redis.call('HGETALL', key)
  for index = 1, #all, 2 do
    local name, value = all[index], all[index + 1]
    if string.sub(name, 1, 2) ~= 'r:' then
      fields[name] = value
    elseif is_alive(string.sub(name, 3)) then
      held = held + tonumber(value)
    else
      redis.call('HDEL', key, name)
    end
  end
  return held, fields
end

-- How long until a window with this sum has room.
local function wait(key, at, total, room)
  if room < 0 then
    return -1
  end
  local seconds = {}
  for past = at - 60, at do
    seconds[#seconds + 1] = text(past)
  end
  for index, sum in ipairs(redis.call('HMGET', key, unpack(seconds))) do
    total = total - (tonumber(sum) or 0)
    if total <= room then
      return (at + index) * 1000 - now
    end
  end
  return 61000
end

-- What is spent: what was counted here, or what the database says if that is more. `sum` begins with the latter, `at`
-- tells when; until `quiet` the database is known to be behind.
local function spent(key, fields, known, keep)
  if not fields.sum then
    fields.sum, fields.db = known, known
    redis.call('HSET', key, 'sum', known, 'db', known, 'at', text(now))
    redis.call('PEXPIRE', key, keep)
  elseif tonumber(known) > tonumber(fields.db or '0') and tonumber(fields.quiet or '0') <= now then
    fields.db = known
    redis.call('HSET', key, 'db', known)
  end
  return math.max(tonumber(fields.sum), tonumber(fields.db or '0'))
end

local seconds, used = {}, {}
for claim = 1, #KEYS - 1 do
  local key, first = KEYS[claim + 1], 6 * claim - 3
  local kind, amount, limit = ARGV[first], tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
  local ms = -1
  local fits
  if kind == 'rate' then
    seconds[claim], used[claim] = window(key)
    fits = not limit or used[claim] + amount <= limit
    if not fits then
      ms = wait(key, seconds[claim], used[claim], limit - amount)
    end
  elseif kind == 'held' then
    used[claim] = counter(key)
    fits = not limit or used[claim] + amount <= limit
  else
    local held, fields = counter(key)
    used[claim] = held + spent(key, fields, ARGV[first + 3], ARGV[first + 4])
    fits = not limit or used[claim] < limit
  end
  if not fits then
    return { 'refused', text(claim - 1), text(used[claim]), text(ms) }
  end
end

local answer = { 'taken', text(second) }
for claim = 1, #KEYS - 1 do
  local key, first = KEYS[claim + 1], 6 * claim - 3
  local kind, amount, resets = ARGV[first], ARGV[first + 1], 0
  if kind ~= 'rate' then
    if amount ~= '0' then
      add(key, 'r:' .. ARGV[1], amount)
    end
    redis.call('PEXPIRE', key, ARGV[first + 4])
  elseif amount ~= '0' then
    add_to_window(key, seconds[claim], amount)
    resets = (seconds[claim] + 61) * 1000 - now
  elseif used[claim] > 0 then
    resets = ((tonumber(redis.call('HGET', key, 'y')) or second) + 61) * 1000 - now
  end
  answer[#answer + 1] = text(used[claim] + tonumber(amount))
  answer[#answer + 1] = text(resets)
end
return answer
