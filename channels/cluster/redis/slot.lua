-- Before every script. While the slot of a bucket moves to another server of a Redis
-- Cluster its keys are at two of them, one after the other: what a script would find is
-- half of the truth, and what it wrote would be overwritten. Redis refuses a command for
-- several keys of such a slot when one is missing, as the second one here always is;
-- then the whole call is refused, before it did anything, and repeated until the slot
-- has moved. Elsewhere this costs less than a microsecond.
--
-- Redis Cluster specification, "Multiple keys operations".
do
  local found = redis.pcall('EXISTS', KEYS[1], KEYS[1] .. ':')
  if type(found) == 'table' then
    return redis.error_reply('TRYAGAIN not while the slot moves: ' .. found.err)
  end
end
