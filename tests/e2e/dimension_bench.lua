-- Purpose: what the dimension store and its pool cost in simulated cycles on 1, 2, 4 and 8 CPUs, and how many accesses a second go.
-- Expects: maxima below the ceilings and medians below the goals, no median above its golden figure by more than 2 %, seven times
-- the throughput on eight CPUs, and a second run that counts the same cycles.
-- covers: DS-03 (B), DS-12 (B), DS-26 (B), DS-34 (B), PA-08 (B)
local golden = require "dimension_golden"

-- Limits of maximum and median, in cycles; CPUs: how many threads measure, or one.
local latencies <const> = {
    ["init"] = { ceiling = 300000000 },
    ["access"] = { ceiling = 3000000, goal = 100, threads = true },
    ["pool-4k"] = { ceiling = 30000, goal = 200 },
    ["pool-16k"] = { ceiling = 30000, goal = 200 },
    ["pool-64k"] = { ceiling = 30000, goal = 200 },
    ["pool-256k"] = { ceiling = 30000, goal = 200 },
    ["pool-shared"] = { ceiling = 30000, threads = true },
}
local parts <const> = { "init", "access", "throughput", "pool" }
local cycles_a_second <const> = 3000000000

-- The lines of all parts, or of some, on so many CPUs; machine: nil is the first cost table.
local function measure(cpus, machine, some)
    local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", engine = "timed", machine = machine }:boot()
    local from = #m:console(0)
    for _, part in ipairs(some or parts) do
        expect(m:command("dimbench " .. part .. " " .. cpus):wait().status, part .. " on " .. cpus .. " CPUs"):to_be(0)
    end
    local lines = {}
    for line in m:console(0, from):gmatch("dimbench: ([^\r\n]+)") do lines[#lines + 1] = line end
    return lines
end

local function check_latency(line, cpus)
    local name, threads, n, cold, min, p50, p99, max =
        line:match("^latency (%S+) threads (%d+) n (%d+) cold (%d+) min (%d+) p50 (%d+) p99 (%d+) max (%d+)$")
    local limits, what = latencies[name], string.format("%s on %d CPUs", name, cpus)
    orrery.note(string.format("%-12s %d CPUs  n %4d  cold %6d  min %6d  p50 %6d  p99 %6d  max %6d", name, cpus, n, cold, min, p50, p99, max))
    expect(tonumber(threads), what .. ": threads"):to_be(limits.threads and cpus or 1)
    expect(tonumber(max), what .. ": max"):to_be_at_most(limits.ceiling)
    if limits.goal then expect(tonumber(p50), what .. ": p50"):to_be_at_most(limits.goal) end
    if golden.latency[name] then
        expect(p50 * 100, what .. ": p50 against the golden one, in hundredths"):to_be_at_most(golden.latency[name][cpus] * 102)
    end
    return name
end

local function check_throughput(line, cpus, done)
    local name, threads, operations, cycles = line:match("^throughput (%S+) threads (%d+) operations (%d+) cycles (%d+)$")
    local what = string.format("%s on %d CPUs", name, cpus)
    done[name] = done[name] or {}
    done[name][cpus] = tonumber(operations)
    orrery.note(string.format("%-12s %d CPUs  %s accesses a second, %.2f times those of one", name, cpus,
        orrery.grouped(operations * cycles_a_second // cycles), operations / done[name][1]))
    expect(tonumber(threads), what .. ": threads"):to_be(cpus)
    expect(operations * 102, what .. ": operations against the golden ones, in hundredths")
        :to_be_at_least(golden.throughput[name][cpus] * 100)
    return name
end

describe("dimension store", function()
    local done, first = {}, nil
    for _, cpus in ipairs { 1, 2, 4, 8 } do
        it("costs what it may on " .. cpus .. " CPUs", function()
            local lines, seen = measure(cpus), {}
            first = first or lines
            for _, line in ipairs(lines) do
                local name = line:match("^latency") and check_latency(line, cpus) or check_throughput(line, cpus, done)
                seen[name] = true
            end
            for name in pairs(latencies) do expect(seen[name], name):to_be(true) end
            for name in pairs(golden.throughput) do expect(seen[name], name):to_be(true) end
        end)
    end

    it("is read by eight CPUs at seven times the rate of one, at least", function()
        for _, name in ipairs { "access", "section" } do
            expect(done[name][8], name):to_be_at_least(7 * done[name][1])
        end
    end)

    it("scales as well where lines that several CPUs write cost something", function()
        local operations = {}
        for _, cpus in ipairs { 1, 8 } do
            for _, line in ipairs(measure(cpus, "zen4-like", { "throughput" })) do
                local name, count = line:match("^throughput (%S+) threads %d+ operations (%d+) cycles")
                operations[name .. cpus] = math.tointeger(tonumber(count))
                orrery.note(string.format("%-12s %d CPUs, zen4-like  %s accesses", name, cpus, orrery.grouped(operations[name .. cpus])))
            end
        end
        for _, name in ipairs { "access", "section" } do
            expect(operations[name .. 8], name):to_be_at_least(7 * operations[name .. 1])
        end
    end)

    it("counts the same cycles in a second run", function()
        expect(table.concat(measure(1), "\n")):to_be(table.concat(first, "\n"))
    end)
end)
