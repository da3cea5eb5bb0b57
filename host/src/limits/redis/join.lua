-- A gateway begins, or begins anew after it was not heard of: what it held under its old name is void, and what it holds
-- now is told in full.
--
-- KEYS: the gateways, then the counter of each thing that is held.
-- ARGV: the gateway, its lease in ms, its name before or nothing, how long a counter is kept that is new, in ms; then how
--   much is held of each.

local me, lease, before, keep = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
if before ~= '' then
  redis.call('ZREM', KEYS[1], before)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - lease))
redis.call('ZADD', KEYS[1], text(now), me)
for index = 2, #KEYS do
  redis.call('HSET', KEYS[index], 'r:' .. me, ARGV[3 + index])
  if redis.call('PTTL', KEYS[index]) < 0 then
    redis.call('PEXPIRE', KEYS[index], keep)
  end
end
return 1
