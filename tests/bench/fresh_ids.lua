-- For wrk: posts ready-made requests that differ in their id only, and reports as JSON.
-- Arguments: FILE, which holds the request; PREFIX, with which all ids of this load begin.

local before, after, prefix
local count = 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   local text = file:read("*a")
   file:close()
   local first, last = text:find("00000000-0000-0000-0000-000000000000", 1, true)
   before, after, prefix = text:sub(1, first - 1), text:sub(last + 1), arguments[2]
end

function request()
   count = count + 1
   return before .. prefix .. string.format("%024d", count) .. after
end

function done(summary, latency)
   local wrong = summary.errors
   io.write(string.format(
      '\n{"rate": %f, "p50": %f, "p99": %f, "failed": %d}\n',
      summary.requests / summary.duration * 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      wrong.status + wrong.connect + wrong.read + wrong.write + wrong.timeout))
end
