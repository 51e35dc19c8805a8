-- KEYS[1] is "{prefix:db}". ARGV: 'tell', node, text, milliseconds: keeps what the
-- node tells of itself in :n:NODE for so long. 'ask', most: node and text in turn of
-- at most so many nodes of those that lease.lua knows, by name.
local base = KEYS[1]
if ARGV[1] == 'tell' then
  redis.call('SET', base .. ':n:' .. ARGV[2], ARGV[3], 'PX', ARGV[4])
  return {}
end
local nodes = redis.call('HKEYS', base .. ':owners')
table.sort(nodes)
local answer = {}
for i = 1, math.min(#nodes, tonumber(ARGV[2])) do
  answer[#answer + 1] = nodes[i]
  answer[#answer + 1] = redis.call('GET', base .. ':n:' .. nodes[i]) or ''
end
return answer
