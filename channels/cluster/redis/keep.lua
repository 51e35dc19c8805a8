-- ARGV: publish, cid, milliseconds, origin, rest of the message, node and its number
-- of the publication. Numbers a publication, keeps it and publishes it, once however
-- often it is repeated.
local cid, origin, node = ARGV[2], ARGV[4], ARGV[6]
if tonumber(redis.call('GET', base .. ':p:' .. node) or '0') >= tonumber(ARGV[7]) then return 0 end
redis.call('SET', base .. ':p:' .. node, ARGV[7], 'EX', 600)
local seq = number()
local rest = origin .. struct.pack('>Ic0', #seq, seq) .. ARGV[5]
redis.call('SET', base .. ':k:' .. cid, rest, 'PX', ARGV[3])
publish(cid, 'rs\1K' .. cid .. rest)
return 1
