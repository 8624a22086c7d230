-- For wrk: counts the replies that are not the one expected, and says how many there were of each kind.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   right, wrong = 0, 0
end

function response(status, headers, body)
   if status == 200 and body == "hello\n" then
      right = right + 1
   else
      wrong = wrong + 1
   end
end

function done(summary, latency, requests)
   local r, w = 0, 0
   for _, thread in ipairs(threads) do
      r, w = r + thread:get("right"), w + thread:get("wrong")
   end
   local e = summary.errors
   print(string.format("checked %d right %d wrong %d errors", r, w, e.connect + e.read + e.write + e.timeout))
end
