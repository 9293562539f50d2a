-- Purpose: the kernel's statistics while everything moves: snapshots against the events themselves, an interrupt at every
-- instruction of the path, and no lock held while text goes out.
-- Expects: every snapshot lies between the truth at its begin and at its end; no hang.
-- covers: BT-12 (X, S), ST-02 (X), ST-03 (X), ST-05

local borrow = require "borrow"

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

    for seed = 1, 4 do
        it("every snapshot is true on 8 CPUs that stand still now and then, whose messages come late, seed " .. seed, function()
            local m = orrery.machine { cpus = 8, memory = "64M", kernel = "orrery", memory_model = "sc", seed = seed }
            local found = watch(m)
            m:boot()
            for n = 0, 30 do
                if math.random(2) == 1 then m:delay_ipi(n * 3, orrery.us(math.random(50))) end
            end
            for cpu = 0, 7 do
                local at = m:register(cpu, "retired")
                for _ = 1, 8 do
                    at = at + math.random(8000)
                    m:stall(cpu, at, orrery.us(math.random(60)))
                end
            end
            local storm = m:command("forkstorm --processes 40 --depth 3")
            for _ = 1, 12 do
                m:ask("stats", { until_line = "end" })
                m:run(orrery.us(math.random(200)))
            end
            expect(storm:wait().status):to_be(0)
            expect(found.snapshots, "snapshots"):to_be_at_least(12)
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

    it("the banner comes with interrupts on, and with the threads that there are", function()
        local m = orrery.machine { cpus = 4, memory = "64M", kernel = "orrery" }
        local inside, lines, off = false, 0, 0
        m:on_entry("stats_snapshot", function() inside = true end) -- the first one is the banner's
        m:on_entry("process_start_init", function() inside = false end)
        m:on_entry("console_printf", function(cpu)
            if not inside then return end
            lines = lines + 1
            if m:register(cpu, "rflags") & IF == 0 then off = off + 1 end
        end)
        m:boot()
        expect(lines, "lines of the banner"):to_be_at_least(7)
        expect(off, "lines with interrupts off"):to_be(0)
        expect(m:console(0)):to_match("threads: 0\r?\n")
        expect(m:ask("stats", { until_line = "end" })):to_contain("processes 2\n") -- init and the name server
    end)

    it("the banner has the snapshot's threads when there are some", function()
        local m = orrery.machine { cpus = 4, memory = "64M", kernel = "orrery", memory_model = "sc" }:boot()
        local function current(cpu) return m.sym.cpu_table[cpu].current:value() end
        local banners, told, from = {}, {}, #m:console(0)
        m:on_entry("stats_snapshot", function(cpu)
            local banner = banners[current(cpu)]
            if banner and banner.over then -- the one in whose place it was
                banners[current(cpu)] = nil
            elseif banner then
                banner.figures = m:register(cpu, "rdi")
            else
                banner = {}
                banners[current(cpu)] = banner
                borrow.calls(m, cpu, function()
                    coroutine.yield { "banner_print" }
                    told[#told + 1], banner.over = banner.threads, true
                end)
            end
        end)
        m:on_return("stats_snapshot", function(cpu)
            local banner = banners[current(cpu)]
            if not banner or not banner.figures or banner.over then return end
            banner.threads = m.sym("system_stats", banner.figures).threads
        end)
        local storm = m:command("forkstorm --processes 100 --depth 3")
        for _ = 1, 10 do
            m:ask("stats", { until_line = "end" })
            m:run(orrery.us(100))
        end
        expect(storm:wait().status):to_be(0)
        local printed = {} -- by now
        for threads in m:console(0, from):gmatch("threads: (%d+)\r?\n") do printed[#printed + 1] = threads end
        orrery.note("threads: " .. table.concat(told, " "))
        expect(table.concat(printed, " "), "threads that banners tell"):to_be(table.concat(told, " "))
        expect(#told, "banners"):to_be(10)
        expect(math.min(table.unpack(told)), "threads in a banner"):to_be_at_least(2) -- of init and of the name server
        expect(math.max(table.unpack(told)), "threads in a banner"):to_be_above(2)
    end)

    -- The image of the in-kernel tests keeps a list of the locks that each CPU holds. Up to the tests' first line all that is
    -- printed are the stages of the boot and the banner, early ones among them.
    it("no lock is held when a line of the boot or of the banner is formatted", function()
        local m = orrery.machine { kernel = "build/os/orrery-test.elf", initrd = "build/os/initrd.cpio", cpus = 4, memory = "64M" }
        local lines, held, locks, snapshots = 0, 0, 0, 0
        m:on_entry("console_printf", function(cpu)
            lines = lines + 1
            if m.sym.held[cpu].count ~= 0 then held = held + 1 end
        end)
        m:on_entry("lockdep_acquire", function() locks = locks + 1 end)
        m:on_entry("stats_snapshot", function() snapshots = snapshots + 1 end)
        expect(m:wait_text(0, "TAP", orrery.seconds(2)), "the tests have begun"):to_be(true)
        expect(lines, "lines"):to_be_at_least(40)
        expect(snapshots, "banners"):to_be_at_least(4)
        expect(locks, "locks taken meanwhile"):to_be_above(100)
        expect(held, "lines with a lock held"):to_be(0)
    end)

    it("no lock is held when a line of a banner is formatted while all CPUs are busy", function()
        local m = orrery.machine { kernel = "build/os/orrery-test.elf", initrd = "build/os/initrd.cpio", cpus = 4, memory = "64M" }
        m:fail_call("ktest_run_all", 0, { always = true }) -- the image then goes on as any other
        m:boot { until_text = "init: ready" }
        local lines, held, locks, printing, skip = 0, 0, 0, {}, {}
        local function current(cpu) return m.sym.cpu_table[cpu].current:value() end
        m:on_entry("console_printf", function(cpu)
            if not printing[current(cpu)] then return end
            lines, held = lines + 1, held + (m.sym.held[cpu].count ~= 0 and 1 or 0)
        end)
        m:on_entry("lockdep_acquire", function() locks = locks + (next(printing) and 1 or 0) end)
        m:on_entry("stats_snapshot", function(cpu)
            local thread = current(cpu)
            if printing[thread] or skip[thread] then
                skip[thread] = nil
                return
            end
            printing[thread] = true
            borrow.calls(m, cpu, function()
                coroutine.yield { "banner_print" }
                printing[thread], skip[thread] = nil, true
            end)
        end)
        local storm = m:command("forkstorm --processes 100 --depth 3")
        for _ = 1, 10 do
            m:ask("stats", { until_line = "end" })
            m:run(orrery.us(100))
        end
        expect(storm:wait().status):to_be(0)
        orrery.note(string.format("%d lines, %d locks taken meanwhile", lines, locks))
        expect(lines, "lines"):to_be_at_least(70)
        expect(locks, "locks taken meanwhile"):to_be_above(100)
        expect(held, "lines with a lock held"):to_be(0)
    end)
end)

-- covers: BT-11
it("the first process runs at CPL 3 in an address space of its own, lists its capabilities and has a child", function()
    local m = orrery.machine { cpus = 2, memory = "64M", kernel = "orrery" }
    local ADDRESS <const> = 0x000ffffffffff000
    local init, seen = nil, nil
    m:on_entry("syscall_entry", function(cpu)
        local process = m.sym.cpu_table[cpu].current.process
        if init or process.pid.number ~= 1 then return end
        init = process
        m:probe(m:register(cpu, "rcx"), function(other) -- where it goes on
            if m.sym.cpu_table[other].current.process.pid.number == 1 then
                seen = seen or { cpl = m:register(other, "cpl"), root = m:register(other, "cr3") & ADDRESS }
            end
        end)
    end)
    m:boot()
    expect(init ~= nil and init.name:string() or "none", "process 1"):to_be("init")
    expect(init.parent:value(), "its parent"):to_be(0)
    expect(seen ~= nil and seen.cpl, "CPL after its first call"):to_be(3)
    expect(seen.root, "page tables in use"):to_be(init.space.table.root.number)
    local roots = {}
    for _, task in ipairs(m.kernel.tasks()) do
        if not task.kernel then roots[task.pid] = task.place.process.space.table.root.number end
    end
    expect(roots[1], "root table"):to_be(seen.root)
    local others = 0
    for pid, root in pairs(roots) do
        if pid ~= 1 then
            others = others + 1
            expect(root ~= seen.root, "another table for process " .. pid):to_be(true)
        end
    end
    expect(others, "other processes"):to_be_at_least(1)
    expect(init.children.next:value() ~= init.children:address(), "a child"):to_be(true)
    local listed, types = 0, {}
    for slot, type in m:ask("caps", { until_line = "end" }):gmatch("cap (%d+) type (%d+) rights %x+") do
        listed, types[type] = listed + 1, true
        expect(tonumber(slot) < m.sym.CAP_TYPE_COUNT, "slot " .. slot):to_be(true)
    end
    expect(listed, "capabilities listed by init"):to_be_at_least(8)
    expect(listed <= init.caps.used, "no more than it has"):to_be(true)
end)
