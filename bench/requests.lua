-- For wrk: sends requests from a file, where a NUL separates them, and prints the outcome as JSON.
-- Arguments: the file; `any` for random ones until the end, `each` for each of them once. Then wrk
-- still waits for its end: it says `sent` and is to be interrupted.

local requests, order, sent = {}, "any", 0

function init(args)
    local file = assert(io.open(args[1], "rb"))
    for request in file:read("*a"):gmatch("[^%z]+") do
        requests[#requests + 1] = request
    end
    file:close()
    order = args[2]
    math.randomseed(os.time())
end

function request()
    if order == "any" then
        return requests[math.random(#requests)]
    end
    if sent == #requests then
        io.write("sent\n")
        io.flush()
        wrk.thread:stop()
    else
        sent = sent + 1
    end
    return requests[sent]
end

function done(summary, latency)
    -- Not errors.read: a server that closes after each answer, as uWSGI does, causes one each time.
    local errors = summary.errors
    io.write(string.format(
        '{"answers": %d, "others": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}\n',
        summary.requests - errors.status,
        errors.status + errors.connect + errors.write + errors.timeout,
        summary.duration / 1e6,
        latency:percentile(50) / 1000,
        latency:percentile(99) / 1000
    ))
end
