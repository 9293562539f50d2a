-- Purpose: the kernel's statistics while everything moves: snapshots against the events themselves, an interrupt at every
-- instruction of the path, and no lock held while text goes out.
-- Expects: every snapshot lies between the truth at its begin and at its end; its counts of threads are those of their states; no hang.
-- covers: BT-12 (X, S), ST-02 (X), ST-03 (X), ST-05

local borrow = require "borrow"
local interrupts = require "interrupts"
local state = require "kernels.orrery_state"

local IF <const> = 1 << 9

-- Counts forks and ends by their events, and compares every snapshot; returns what it found.
local function watch(m)
    local truth, found, asked = { forks = 0, exits = 0 }, { snapshots = 0, wrong = {} }, {}
    m:on_entry("process_link_locked", function(cpu)
        if m:register(cpu, "rsi") ~= 0 then truth.forks = truth.forks + 1 end
    end)
    m:on_entry("process_count_exit", function() truth.exits = truth.exits + 1 end)
    m:on_entry("process_totals_read", function(cpu)
        local thread = m.kernel.current_thread(cpu)
        asked[thread] = { at = m:register(cpu, "rdi"), forks = truth.forks, exits = truth.exits }
    end)
    m:on_return("process_totals_read", function(cpu)
        local before = asked[m.kernel.current_thread(cpu)]
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


-- Compares the threads of every snapshot, from now on, with the state words of all threads. The kernel reads a CPU's counts
-- between two looks at its queue's lock, and has read them well when nobody took it: what the states were when it began is
-- what it must have read. A thread on its way between two CPUs belongs to none; read at different times, two may show it.
local function watch_states(m)
    local NEW <const>, WAITING <const>, READY <const>, DEAD <const> =
        m.sym.THREAD_NEW, m.sym.THREAD_WAITING, m.sym.THREAD_READY, m.sym.THREAD_DEAD
    local state_at <const>, cpu_at <const> = m.sym("thread", 0):offsetof("state"), m.sym("thread", 0):offsetof("cpu")
    local ready_since_at <const>, NEVER <const> = m.sym("thread", 0):offsetof("ready_since"), string.rep("\0", 8)
    local found = { snapshots = 0, exact = 0, moving = 0, ready = 0, sleeping = 0, most = 0, wrong = {} }
    local threads, ending, births, deaths, reading = {}, {}, 0, 0, {}
    local function word(address) return (string.unpack("<I4", assert(m:read(address, 4)))) end
    local function born(cpu)
        threads[m:register(cpu, "rdi")] = true
        births = births + 1
    end
    -- New, or on its way to its first queue, which counts it when it joins.
    local function is_starting(thread, state)
        return state == NEW or assert(m:read(thread + ready_since_at, 8)) == NEVER
    end
    -- Those that are alive, and how many; how many are just being started, and ended.
    local function alive()
        local set, count, starting, dying = {}, 0, 0, 0
        for thread in pairs(threads) do
            local state = word(thread + state_at)
            if is_starting(thread, state) then
                starting = starting + 1
            elseif state ~= DEAD then
                set[thread], count, dying = true, count + 1, dying + (ending[thread] and 1 or 0)
            end
        end
        return set, count, starting, dying
    end
    -- What the threads of a CPU do, by their states.
    local function look(cpu)
        local seen, runs = { running = 0, ready = 0, sleeping = 0, threads = {} }, cpu.current:value()
        for thread in pairs(threads) do
            if word(thread + cpu_at) == cpu.id then
                local state = word(thread + state_at)
                local does = thread == runs and "running" or state == READY and "ready" or state == WAITING and "sleeping"
                if does then seen[does], seen.threads[#seen.threads + 1] = seen[does] + 1, thread end
            end
        end
        return seen
    end
    for _, task in ipairs(m.kernel.tasks()) do
        if task.name ~= "idle" then threads[task.place:address()] = true end
    end
    m:on_entry("sched_start", born)
    m:on_entry("sched_start_on", born)
    m:on_entry("sched_exit", function(cpu)
        ending[m.kernel.current_thread(cpu)] = true
        deaths = deaths + 1
    end)
    m:on_entry("thread_free_block", function(cpu)
        local thread = m:register(cpu, "rdi")
        threads[thread], ending[thread] = nil, nil
    end)
    m:on_entry("sched_totals_read", function(cpu) reading[m.kernel.current_thread(cpu)] = { at = m:register(cpu, "rdi") } end)
    m:on_entry("add_counts", function(cpu)
        local read, area = reading[m.kernel.current_thread(cpu)], m.sym("cpu", m:register(cpu, "rsi"))
        if not read then return end
        if area.id == 0 then -- the kernel begins, perhaps again
            local starting, dying
            read.alive, read.count, starting, dying = alive()
            read.births, read.deaths = births - starting, deaths - dying
        end
        read[area.id] = look(area)
    end)
    m:on_return("sched_totals_read", function(cpu)
        local read = reading[m.kernel.current_thread(cpu)]
        if not read then return end
        local seen, sum, times = m.sym("sched_totals", read.at), { running = 0, ready = 0, sleeping = 0 }, {}
        for id = 0, m:cpus() - 1 do
            for does, count in pairs(sum) do sum[does] = count + read[id][does] end
            for _, thread in ipairs(read[id].threads) do times[thread] = (times[thread] or 0) + 1 end
        end
        local born_since, dead_since, moving, now = births - read.births, deaths - read.deaths, 0, alive()
        for thread in pairs(read.alive) do
            if now[thread] then moving = moving + 1 - (times[thread] or 0) end
        end
        local quiet = born_since + dead_since == 0
        local function check(right, what, is, truth)
            if not right then found.wrong[#found.wrong + 1] = string.format("%s: %d, true %d", what, is, truth) end
        end
        check(seen.running == sum.running, "running", seen.running, sum.running)
        check(seen.sleeping == sum.sleeping, "sleeping", seen.sleeping, sum.sleeping)
        check(math.abs(seen.ready - sum.ready - moving) <= born_since + dead_since, "ready", seen.ready, sum.ready + moving)
        check(seen.alive >= read.count - dead_since and seen.alive <= read.count + born_since, "threads", seen.alive, read.count)
        check(seen.running + seen.ready + seen.sleeping == seen.alive, "sum", seen.running + seen.ready + seen.sleeping, seen.alive)
        found.snapshots, found.most = found.snapshots + 1, math.max(found.most, seen.alive)
        found.exact = found.exact + (quiet and 1 or 0)
        for _, what in ipairs { "ready", "sleeping" } do found[what] = math.max(found[what], seen[what]) end
        found.moving = found.moving + (moving ~= 0 and 1 or 0)
    end)
    return found
end

-- Threads that are born and die, wait and are woken by each other and by the clock, move with and without their CPUs going.
local MIX <const> = {
    "hotplug --cycles 12 --pause-us 200",
    "forkstorm --processes 30 --depth 3",
    "ipctest a_partner_with_a_deadline_is_queued clients_and_servers_lose_nothing",
    "ipctest calls_are_answered_word_for_word clients_and_servers_lose_nothing",
    "threadtest all_registers_survive_preemption_and_migration a_mutex_lets_one_in conditions_pass_everything_on",
}

-- Runs them all at once and asks for snapshots until they have ended, or `enough` returns true.
local function run_mix(m, enough)
    local loads = {}
    for i, line in ipairs(MIX) do loads[i] = m:command(line) end
    for _ = 1, 40 do
        m:ask("stats", { until_line = "end" })
        if enough() then return end
        m:run(orrery.us(150))
    end
    for _, load in ipairs(loads) do expect(load:wait().status, load.line):to_be(0) end
end

-- The instructions that count a thread: each changes memory in what was inlined from sched/account.h.
local function counting_instructions(m)
    local found = {}
    for _, name in ipairs { "account_start", "account_end", "account_leave", "account_join", "account_sleep", "account_wake" } do
        for _, range in ipairs(m:inlined(name)) do
            local at = range.first
            while at <= range.last do
                local text, size = m:disassemble(at)
                if text:find("^%a+ [dq]word ptr %[") then
                    found[#found + 1] = { at = at, size = size, name = name .. " in " .. m:describe(at):match("^[%w_]+") }
                end
                at = at + math.max(size, 1)
            end
        end
    end
    return found
end

-- While processes come and go, each of ten requests for statistics prints a banner first. banners has a table for each thread
-- that prints one, with the address of its snapshot as figures; printed gets that at the end.
local function print_banners_under_load(m, banners, printed)
    local over = {}
    m:on_entry("stats_snapshot", function(cpu)
        local thread = state.current_thread(m, cpu)
        if over[thread] then -- the call in whose place the banner was
            over[thread] = nil
        elseif banners[thread] then
            banners[thread].figures = m:register(cpu, "rdi")
        else
            banners[thread] = {}
            borrow.calls(m, cpu, function()
                coroutine.yield { "banner_print" }
                if printed then printed(banners[thread]) end
                banners[thread], over[thread] = nil, true
            end)
        end
    end)
    local storm = m:command("forkstorm --processes 100 --depth 3")
    for _ = 1, 10 do
        m:ask("stats", { until_line = "end" })
        m:run(orrery.us(100))
    end
    expect(storm:wait().status):to_be(0)
end

-- Of each the least number of instructions with interrupts on, and of their runs.
local statistics = {
    { "stats_snapshot", 130, 600 }, { "process_totals_read", 12, 40 }, { "sched_totals_read", 40, 150 }, { "stats_copy_out", 32, 100 },
    { "add_counts", 20 }, -- all with interrupts off: they wait until it has ended
}

describe("statistics", function()
    for _, cpus in ipairs { 1, 8 } do
        it("every snapshot is true while processes come and go on " .. cpus .. " CPUs", function()
            -- no store buffer: what a CPU has stored is there to be read from outside
            local m = orrery.machine { cpus = cpus, memory = "64M", kernel = "orrery", memory_model = "sc" }
            local found = watch(m)
            m:boot()
            local states = watch_states(m)
            local storm = m:command("forkstorm --processes 240 --depth 3")
            for _ = 1, 20 do
                m:ask("stats", { until_line = "end" })
                m:run(orrery.us(200))
            end
            expect(storm:wait().status):to_be(0)
            expect(found.snapshots, "snapshots"):to_be_at_least(20)
            expect(found.wrong[1] or "none", "wrong snapshots"):to_be("none")
            expect(states.wrong[1] or "none", "wrong counts of threads"):to_be("none")
            expect(states.exact, "counts of threads while none was born or ended"):to_be_at_least(10)
            expect(states.ready > 0 and states.sleeping > 0 and states.most, "threads"):to_be_at_least(8)
        end)
    end

    for seed = 1, 4 do
        it("every snapshot is true on 8 CPUs that stand still now and then, whose messages come late, seed " .. seed, function()
            local m = orrery.machine { cpus = 8, memory = "64M", kernel = "orrery", memory_model = "sc", seed = seed }
            local found = watch(m)
            m:boot()
            local states = watch_states(m)
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
            expect(states.snapshots, "counts of threads"):to_be_at_least(12)
            expect(states.wrong[1] or "none", "wrong counts of threads"):to_be("none")
        end)
    end

    for _, cpus in ipairs { 4, 8 } do
        it("the counts of threads are those of their states while they wait, move and lose their CPUs, on " .. cpus .. " CPUs", function()
            local m = orrery.machine { cpus = cpus, memory = "64M", kernel = "orrery", memory_model = "sc" }:boot()
            local states = watch_states(m)
            m:on_entry("sched_enqueue", function(cpu) -- now and then it takes its time to bring a thread
                if math.random(8) == 1 then m:stall(cpu, m:register(cpu, "retired") + 1, orrery.us(60)) end
            end)
            run_mix(m, function() return false end)
            orrery.note(string.format("%d snapshots, %d while no thread was born or ended, %d with one between two CPUs",
                states.snapshots, states.exact, states.moving))
            expect(states.snapshots, "counts of threads"):to_be_at_least(40)
            expect(states.moving, "with a thread between two CPUs"):to_be_above(0)
            expect(states.wrong[1] or "none", "wrong counts of threads"):to_be("none")
        end)
    end

    -- Each path in a machine of its own, in another one when that did not come by.
    it("a count that is left out once is seen, on whichever path", function()
        local paths, index, seed = nil, 1, 1
        repeat
            local m = orrery.machine { cpus = 4, memory = "64M", kernel = "orrery", memory_model = "sc", seed = seed }:boot()
            paths = paths or counting_instructions(m)
            local path, states, left_out = paths[index], watch_states(m), false
            m:probe(path.at, function(cpu)
                if not left_out and states.snapshots > 0 then
                    left_out = true
                    m:set_register(cpu, "rip", path.at + path.size)
                end
            end)
            run_mix(m, function() return #states.wrong > 0 end)
            expect(left_out or seed < 8, "somebody came by " .. path.name):to_be(true)
            expect(#states.wrong > 0, "snapshots that show " .. path.name .. " left out"):to_be(left_out)
            index, seed = left_out and index + 1 or index, left_out and 1 or seed + 1
        until index > #paths
        orrery.note(#paths .. " paths")
        expect(#paths, "paths"):to_be_at_least(12)
    end)

    it("an interrupt at every instruction of the statistics path is survived", function()
        local m = orrery.machine { cpus = 2, memory = "64M", kernel = "orrery" }:boot()
        local watch = interrupts.watch(m)
        for _, row in ipairs(statistics) do
            local name, instructions, runs = table.unpack(row)
            interrupts.inside(m, watch, name, { m.sym.VECTOR_TIMER })
            local storm = m:command("forkstorm --processes 10 --depth 2")
            for _ = 1, 3 do expect(m:ask("stats", { until_line = "end" })):to_contain("frames-free") end
            expect(storm:wait().status):to_be(0)
            interrupts.stop(m, watch)
            if runs then
                interrupts.judge(watch, instructions, runs)
            else
                interrupts.judge_closed(watch, instructions)
            end
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
        local banners, told, from = {}, {}, #m:console(0)
        m:on_return("stats_snapshot", function(cpu)
            local banner = banners[m.kernel.current_thread(cpu)]
            if banner and banner.figures then banner.threads = m.sym("system_stats", banner.figures).threads end
        end)
        print_banners_under_load(m, banners, function(banner) told[#told + 1] = banner.threads end)
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
        local lines, held, locks, banners = 0, 0, 0, {}
        m:on_entry("console_printf", function(cpu)
            if not banners[state.current_thread(m, cpu)] then return end
            lines, held = lines + 1, held + (m.sym.held[cpu].count ~= 0 and 1 or 0)
        end)
        m:on_entry("lockdep_acquire", function() locks = locks + (next(banners) and 1 or 0) end)
        print_banners_under_load(m, banners)
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
        local process = m.kernel.current_process(cpu)
        if init or process.pid.number ~= 1 then return end
        init = process
        m:probe(m:register(cpu, "rcx"), function(other) -- where it goes on
            if m.kernel.current_process(other).pid.number == 1 then
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
