-- ARGV: publish, cid, milliseconds, origin, rest of the message. Numbers a
-- publication, keeps it and publishes it, once however often it is repeated.
local cid, origin = ARGV[2], ARGV[4]
local key = base .. ':k:' .. cid
if redis.call('GETRANGE', key, 0, #origin - 1) == origin then return 0 end
local seq = number()
local rest = origin .. struct.pack('>Ic0', #seq, seq) .. ARGV[5]
redis.call('SET', key, rest, 'PX', ARGV[3])
publish(cid, 'rs\1K' .. cid .. rest)
return 1
