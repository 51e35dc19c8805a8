-- KEYS[1] is the bucket, "{prefix:db:bucket}": all its keys begin with it and so
-- live in one slot. ARGV[1] is PUBLISH or SPUBLISH. A channel is named by its cid:
-- topic, app and name, each after its length. Keys of a bucket:
--
--   :n        the last number given to an edge, kept publication or count
--   :o:APP    cid -> subscriptions of all nodes, of the app's occupied channels
--   :h:CID    node -> "incarnation:subscriptions"
--   :s:CID    user -> "node:incarnation;" for each node the user is present through
--   :m:CID    user -> number of member_added, a space, the member
--   :k:CID    kept publication: origin, number, the rest of its message
--   :p:NODE   the last number that a node gave to a kept publication
--   :i:INC:h  cids held by an incarnation, :i:INC:s its seats as cid and user; :H and
--             :S those whose edges go into the journal
--   :w        edge -> incarnation that has to tell it, a space, its number, until
--             that is done or it was undone
--   :w:INC    journal of an incarnation: number and edge -> when it is due, in ms;
--             infinite once it was handed out to be told, and minus infinite where it
--             was to an incarnation before. An edge is a byte for its kind, cid and user
--   :d        incarnations that were cleaned up -> when
--   :r:CALLER number of the caller's last call, and its answer
local base = KEYS[1]

local function number()
  local n = redis.call('INCR', base .. ':n')
  if n == 1 then
    -- Begin at the clock, so that numbers rise even when the state was lost.
    local t = redis.call('TIME')
    n = t[1] * 1000000 + t[2]
    redis.call('SET', base .. ':n', string.format('%.0f', n))
  end
  return string.format('%.0f', n)
end

local function publish(cid, message)
  redis.call(ARGV[1], base .. ':' .. struct.unpack('>Ic0', cid), message)
end

local function edge(kind, cid, user, member)
  local seq = number()
  publish(cid, 'rs\1E' .. cid .. struct.pack('>BIc0Ic0Ic0', kind, #seq, seq, #user, user, #member, member))
  return seq
end

-- hold returns the kind of edge and its number, and all subscriptions.
local function hold(node, k, cid, n)
  local key, held = base .. ':h:' .. cid, 0
  local before = redis.call('HGET', key, node)
  if before then held = tonumber(string.match(before, ':(%d+)$')) end
  if n > 0 then
    redis.call('HSET', key, node, k .. ':' .. n)
  else
    redis.call('HDEL', key, node)
  end
  local _, app = struct.unpack('>Ic0Ic0', cid)
  local occupied = base .. ':o:' .. app
  local total = redis.call('HINCRBY', occupied, cid, n - held)
  if total <= 0 then
    redis.call('HDEL', occupied, cid)
    if held > 0 then return 2, edge(2, cid, '', ''), 0 end
  elseif total == n - held then
    return 1, edge(1, cid, '', ''), total
  end
  return 0, '', total
end

-- seat returns the kind of edge and the number as of which the user is a member.
local function seat(node, k, cid, user, member)
  local seats, members = base .. ':s:' .. cid, base .. ':m:' .. cid
  local by = redis.call('HGET', seats, user)
  if by then
    by = string.gsub(by, node .. ':%d+;', '')
    redis.call('HSET', seats, user, by .. node .. ':' .. k .. ';')
    return 0, string.match(redis.call('HGET', members, user) or '0', '^%d+')
  end
  local seq = edge(3, cid, user, member)
  redis.call('HSET', seats, user, node .. ':' .. k .. ';')
  redis.call('HSET', members, user, seq .. ' ' .. member)
  return 3, seq
end

-- unseat takes back the seat of a node, of that incarnation only when k is a
-- number, and returns the kind of edge, its number and the member.
local function unseat(node, k, cid, user)
  local seats, members = base .. ':s:' .. cid, base .. ':m:' .. cid
  local by = redis.call('HGET', seats, user)
  if not by then return 0, '', '' end
  local left, found = string.gsub(by, node .. ':' .. k .. ';', '')
  if found == 0 then return 0, '', '' end
  if left ~= '' then
    redis.call('HSET', seats, user, left)
    return 0, '', ''
  end
  local member = string.gsub(redis.call('HGET', members, user) or '', '^%d+ ', '')
  redis.call('HDEL', seats, user)
  redis.call('HDEL', members, user)
  return 4, edge(4, cid, user, member), member
end

-- A call that is repeated because its answer was lost gets the same answer, one
-- that was overtaken by a later call of the caller does nothing.
local function answered(caller, call)
  local last = redis.call('GET', base .. ':r:' .. caller)
  if not last then return nil end
  local before, answer = string.match(last, '^(%d+) (.*)$')
  if tonumber(before) < tonumber(call) then return nil end
  if before ~= call then return {} end
  return cmsgpack.unpack(answer)
end

local function remember(caller, call, answer)
  redis.call('SET', base .. ':r:' .. caller, call .. ' ' .. cmsgpack.pack(answer), 'EX', 600)
  return answer
end

local maxJournal = 65536 -- of one incarnation in a bucket
local retry = 500 -- ms until an edge that waits behind another is looked at again

-- handedOut reports whether an entry with that score may have been told.
local function handedOut(score) return score == 'inf' or score == '-inf' end

-- note puts an edge into the journal, to be told by inc, a leave after that many
-- milliseconds. It returns the kind plus 8, and 16 more for an arrival that waits behind
-- a leave that is being told; 0 when the edge undid the one before it, which was not
-- told; the kind alone when the journal is full, so that the edge is told at once and by
-- nobody else.
local function note(inc, back, kind, seq, cid, user)
  if kind == 0 then return 0 end
  local w, edge, came = base .. ':w', string.char(kind) .. cid .. user, kind % 2 == 1
  local own, due, waits = w .. ':' .. inc, '+inf', 0
  local function noted(k)
    local other = string.char(k) .. cid .. user
    local by, number = string.match(redis.call('HGET', w, other) or '', '^(.*) (%d+)$')
    return by, number, other
  end
  local function undo(by, number, other)
    redis.call('HDEL', w, other)
    redis.call('ZREM', w .. ':' .. by, number .. other)
    return 0
  end
  if came then
    local by, number, leave = noted(kind + 1)
    if by then
      if not handedOut(redis.call('ZSCORE', w .. ':' .. by, number .. leave)) then return undo(by, number, leave) end
      due, waits = milliseconds() + retry, 16
    end
  else
    due = milliseconds() + back
    local by, number, arrival = noted(kind - 1)
    local _, left
    if by then _, left = noted(kind) end
    if left and tonumber(left) < tonumber(number) then
      return undo(by, number, arrival) -- it waits behind the leave before this one
    end
  end
  if redis.call('ZCARD', own) >= maxJournal then return kind end
  redis.call('HSET', w, edge, inc .. ' ' .. seq)
  redis.call('ZADD', own, due, seq .. edge)
  return kind + 8 + waits
end

-- parts returns the number, the edge, its kind, cid and user of an entry.
local function parts(entry)
  local _, at = string.find(entry, '^%d+')
  local edge = string.sub(entry, at + 1)
  local _, _, _, rest = struct.unpack('>Ic0Ic0Ic0', edge, 2)
  return string.sub(entry, 1, at), edge, string.byte(edge), string.sub(edge, 2, rest - 1), string.sub(edge, rest)
end
