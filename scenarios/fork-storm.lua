-- Purpose: a storm of forks returns every frame it took, on any number of CPUs.
-- Expects: every process ends with the status its parent expects; free frames before = after, read from the kernel's
-- own structures. Reports fork-to-exit latencies in cycles.
-- Options: --cpus N; --set processes=N, --set depth=N.
-- covers: PS-04 (frames), PS-18 (1,000 processes)

local processes = orrery.args.processes or 1000
local depth = orrery.args.depth or 6

local m = orrery.machine { cpus = orrery.args.cpus or 4, memory = "256M", kernel = "orrery" }

describe("fork storm", function()
    it("returns every frame", function()
        m:boot()
        m:ask("quiesce")
        local before = m.kernel.frames.free
        local forks = m.counters.fork_to_exit:count()
        local storm = m:command(string.format("forkstorm --processes %d --depth %d", processes, depth))
        storm:wait { within = orrery.seconds(20) }
        expect(storm.status):to_be(0)
        local latency = m.counters.fork_to_exit
        expect(latency:count() - forks):to_be_at_least(processes)
        m:ask("quiesce")
        expect(m.kernel.frames.free):to_be(before)
        orrery.note(orrery.grouped(latency:count() - forks) .. " processes, p99 " .. orrery.duration(latency:p99()))
        orrery.note(string.format("%d CPUs, %s", m:cpus(), orrery.duration(storm.cycles)))
        orrery.note(latency:row())
    end)
end)
