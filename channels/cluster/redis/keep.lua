-- ARGV: publish, cid, milliseconds or 0, origin, rest of the message, node and its number
-- of the publication. Numbers a publication, keeps it and publishes it, once however
-- often it is repeated. With 0 milliseconds it is not kept, nor what was before: a Redis
-- that is full allows that. With neither, what is in the place of origin is published.
local cid, origin, node = ARGV[2], ARGV[4], ARGV[6]
if ARGV[3] == '' then
  publish(cid, origin)
  return 1
end
if ARGV[3] == '0' then
  redis.call('DEL', base .. ':k:' .. cid)
  publish(cid, 'rs\1F' .. cid .. origin .. ARGV[5])
  return 1
end
if tonumber(redis.call('GET', base .. ':p:' .. node) or '0') >= tonumber(ARGV[7]) then return 0 end
redis.call('SET', base .. ':p:' .. node, ARGV[7], 'EX', 600)
local seq = number()
local rest = origin .. struct.pack('>Ic0', #seq, seq) .. ARGV[5]
redis.call('SET', base .. ':k:' .. cid, rest, 'PX', ARGV[3])
publish(cid, 'rs\1K' .. cid .. rest)
return 1
