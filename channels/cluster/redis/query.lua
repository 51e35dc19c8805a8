-- ARGV: ignored, what, arguments. 'one' cid: subscriptions, users, kept publication,
-- how long. 'all' app cursor rows prefix prefix-to-leave-out: the next cursor, rows
-- looked at, and subscriptions, users and name of each channel in one text.
if ARGV[2] == 'one' then
  local cid = ARGV[3]
  local _, app = struct.unpack('>Ic0Ic0', cid)
  return {
    redis.call('HGET', base .. ':o:' .. app, cid) or '0',
    redis.call('HLEN', base .. ':m:' .. cid),
    redis.call('GET', base .. ':k:' .. cid) or '',
    redis.call('PTTL', base .. ':k:' .. cid),
  }
end
local app, cursor, count, prefix, without = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local page = redis.call('HSCAN', base .. ':o:' .. app, cursor, 'COUNT', count)
local rows, answer, n = page[2], {}, 0
local unpack, pack, sub, first = struct.unpack, struct.pack, string.sub, string.byte(without)
for i = 1, #rows, 2 do
  local _, _, name = unpack('>Ic0Ic0Ic0', rows[i])
  local byte = string.byte(name)
  if (prefix == '' or sub(name, 1, #prefix) == prefix) and (byte ~= first or sub(name, 1, #without) ~= without) then
    local users = 0
    if byte == 112 and sub(name, 1, 9) == 'presence-' then users = redis.call('HLEN', base .. ':m:' .. rows[i]) end
    n = n + 1
    answer[n] = pack('>IIIc0', rows[i + 1], users, #name, name)
  end
end
return {page[1], #rows / 2, table.concat(answer)}
