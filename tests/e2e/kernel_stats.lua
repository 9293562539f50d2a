-- Purpose: the kernel's statistics while everything moves: snapshots against the events themselves, an interrupt at every
-- instruction of the path, and no lock held while text goes out.
-- Expects: every snapshot lies between the truth at its begin and at its end; no hang.
-- covers: BT-12 (X, S), ST-02 (X), ST-03 (X: one schedule), ST-05

local IF <const> = 1 << 9

-- Counts forks and ends by their events, and compares every snapshot; returns what it found.
local function watch(m)
    local truth, found, asked = { forks = 0, exits = 0 }, { snapshots = 0, wrong = {} }, {}
    m:on_entry("process_link_locked", function(cpu)
        if m:register(cpu, "rsi") ~= 0 then truth.forks = truth.forks + 1 end
    end)
    m:on_entry("process_count_exit", function() truth.exits = truth.exits + 1 end)
    m:on_entry("process_totals_read", function(cpu)
        local thread = m.sym("cpu", m:register(cpu, "gs_base")).current:value()
        asked[thread] = { at = m:register(cpu, "rdi"), forks = truth.forks, exits = truth.exits }
    end)
    m:on_return("process_totals_read", function(cpu)
        local before = asked[m.sym("cpu", m:register(cpu, "gs_base")).current:value()]
        local seen = m.sym("process_totals", before.at)
        found.snapshots = found.snapshots + 1
        for _, what in ipairs { "forks", "exits" } do
            if seen[what] < before[what] - 1 or seen[what] > truth[what] + 1 then -- the event is the entry of who counts it
                found.wrong[#found.wrong + 1] = string.format("%s: %d, true %d to %d", what, seen[what], before[what], truth[what])
            end
        end
        if seen.forks > 0 and seen.processes < 1 + seen.forks - seen.exits then
            found.wrong[#found.wrong + 1] = string.format("%d processes after %d forks and %d ends", seen.processes, seen.forks, seen.exits)
        end
    end)
    return found
end

describe("statistics", function()
    for _, cpus in ipairs { 1, 8 } do
        it("every snapshot is true while processes come and go on " .. cpus .. " CPUs", function()
            -- no store buffer: what a CPU has stored is there to be read from outside
            local m = orrery.machine { cpus = cpus, memory = "64M", kernel = "orrery", memory_model = "sc" }
            local found = watch(m)
            m:boot()
            local storm = m:command("forkstorm --processes 60 --depth 3")
            for _ = 1, 20 do
                m:ask("stats", { until_line = "end" })
                m:run(orrery.us(200))
            end
            expect(storm:wait().status):to_be(0)
            expect(found.snapshots, "snapshots"):to_be_at_least(20)
            expect(found.wrong[1] or "none", "wrong snapshots"):to_be("none")
        end)
    end

    it("an interrupt at every instruction of the statistics path is survived", function()
        local m = orrery.machine { cpus = 2, memory = "64M", kernel = "orrery" }
        local handled = 0
        m:boot()
        m:on_entry("sched_timer_interrupt", function() handled = handled + 1 end)
        for _, name in ipairs { "stats_snapshot", "process_totals_read", "stats_copy_out" } do
            local first, size = assert(m:symbol(name))
            handled = 0
            for cpu = 0, 1 do m:interrupt_range(cpu, first, first + size - 1, m.sym.VECTOR_TIMER) end
            local storm = m:command("forkstorm --processes 10 --depth 2")
            for _ = 1, 3 do expect(m:ask("stats", { until_line = "end" })):to_contain("frames-free") end
            expect(storm:wait().status):to_be(0)
            expect(handled, "interrupts in " .. name):to_be_at_least(6)
        end
    end)

    it("the banner comes with interrupts on, no lock held, and with the threads that there are", function()
        local m = orrery.machine { cpus = 4, memory = "64M", kernel = "orrery" }
        local inside, lines, locked = false, 0, 0
        m:on_entry("stats_snapshot", function() inside = true end) -- the first one is the banner's
        m:on_entry("process_start_init", function() inside = false end)
        m:on_entry("console_printf", function(cpu)
            if not inside then return end
            lines = lines + 1
            if m:register(cpu, "rflags") & IF == 0 then locked = locked + 1 end -- every lock of the kernel turns them off
        end)
        m:boot()
        expect(lines, "lines of the banner"):to_be_at_least(7)
        expect(locked, "lines with interrupts off"):to_be(0)
        expect(m:console(0)):to_match("threads: 0\r?\n")
        expect(m:ask("stats", { until_line = "end" })):to_contain("processes 1\n")
    end)
end)
