-- ARGV: ignored, what, argument. 'one' cid: subscriptions, users, kept
-- publication, how long. 'all' app: cid, subscriptions, users for each channel.
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
local answer = {}
local rows = redis.call('HGETALL', base .. ':o:' .. ARGV[3])
for i = 1, #rows, 2 do
  answer[#answer + 1] = rows[i]
  answer[#answer + 1] = rows[i + 1]
  answer[#answer + 1] = redis.call('HLEN', base .. ':m:' .. rows[i])
end
return answer
