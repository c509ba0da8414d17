"""The Lua script that publishes: latest value and stream entry in one step, so that neither is there alone."""

__all__ = ["PUBLISH"]

# KEYS: latest value (hash of the entry's fields), stream, set of the subjects that have a latest value.
# ARGV: mode (state, work, or clear: a work entry that deletes the latest value), MAXLEN, seq, id, subject,
#       then the entry's fields and values.
# Returns 0 when a newer state was there and nothing was written, otherwise 1.
# XADD comes first: when memory is short it fails before anything is written.
PUBLISH = """
local mode, maxlen, seq, id, subject = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local known = redis.call('HMGET', KEYS[1], 'seq', 'id')
local known_seq = known[1] and tonumber(known[1])
local newer = not known_seq or seq >= known_seq
if mode == 'state' then
  if not newer then return 0 end
  if known_seq == seq and known[2] == id then return 1 end
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', maxlen, '*', unpack(ARGV, 6))
if mode == 'clear' then
  redis.call('DEL', KEYS[1])
  redis.call('SREM', KEYS[3], subject)
elseif newer then
  redis.call('HSET', KEYS[1], unpack(ARGV, 6))
  redis.call('SADD', KEYS[3], subject)
end
return 1
"""
