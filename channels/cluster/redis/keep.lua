-- ARGV: publish, cid, milliseconds or 0, origin, rest of the message, node and its number
-- of the publication. Numbers a publication, keeps it and publishes it, once however
-- often it is repeated. With 0 milliseconds it is not kept, nor what was before; so it is
-- when Redis is full, which is answered with 2. With neither, what is in the place of origin
-- is published.
local cid, origin, node = ARGV[2], ARGV[4], ARGV[6]
if ARGV[3] == '' then
  publish(cid, origin)
  return 1
end
local last, kept = base .. ':p:' .. node, base .. ':k:' .. cid
if tonumber(redis.call('GET', last) or '0') >= tonumber(ARGV[7]) then return 0 end
local noted = redis.pcall('SET', last, ARGV[7], 'EX', 600)
local full = noted.err
if full then
  if not string.find(full, 'OOM') then return noted end
  -- Redis lets a script finish that has written: there is room for the rest.
  redis.call('DEL', kept)
  redis.call('SET', last, ARGV[7], 'EX', 600)
end
local seq = number()
local rest = origin .. struct.pack('>Ic0', #seq, seq) .. ARGV[5]
if full or ARGV[3] == '0' then
  redis.call('DEL', kept)
  publish(cid, 'rs\1F' .. cid .. rest)
  return full and 2 or 1
end
redis.call('SET', kept, rest, 'PX', ARGV[3])
publish(cid, 'rs\1K' .. cid .. rest)
return 1
