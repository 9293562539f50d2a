-- Purpose: figures of scheduler and locks that a program cannot take of itself: quanta, the scheduler's share of the time,
-- what its statistics cost, who waits for which lock.

local LATE <const> = 10000 -- from the tick to the switch
local SPIN <const> = 400 -- cycles of one turn of a CPU that waits, and of a shootdown that it answers

local function machine(cpus)
    return orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", engine = "timed" }:boot()
end

-- ---- quanta ----

-- Cycles of the switches on CPU 0 while two spin there, and of the kernel in interrupts meanwhile.
local function spin(cpus, test)
    local m, stamps, entered, inside = machine(cpus), {}, nil, 0
    m:on_entry("switch_to", function(cpu, cycle)
        if cpu == 0 then stamps[#stamps + 1] = cycle end
    end)
    m:on_entry("trap_common", function(cpu, cycle)
        if cpu == 0 then entered = cycle end
    end)
    m:probe((m:symbol("trap_iret")), function(cpu, cycle) -- of whoever was chosen
        if cpu == 0 and entered then inside, entered = inside + cycle - entered, nil end
    end)
    local before = m:cycles()
    expect(m:command("schedmix --ms 300 " .. test):wait().status):to_be(0)
    return stamps, inside, m:cycles() - before, m.sym.sched_tunables.slice
end

local function expect_small_share(test, stamps, inside, elapsed)
    orrery.note(string.format("%s: %s of %s cycles, %.4f %%, %d switches", test, orrery.grouped(inside),
        orrery.grouped(elapsed), 100 * inside / elapsed, #stamps))
    expect(#stamps, "switches"):to_be_at_least(30)
    expect(inside * 100, "cycles of the scheduler, of " .. elapsed .. ", times 100"):to_be_at_most(elapsed)
end

-- covers: PR-02 (B), SC-09 (B)
for _, cpus in ipairs { 1, 2, 4, 8 } do
    it(cpus .. " CPUs: two that spin change places every 10 ms, to the cycle of tick and switch", function()
        local TEST <const> = "equal_spinners_change_every_quantum"
        local lengths, late = orrery.histogram("quantum"), orrery.histogram("behind the tick")
        local stamps, inside, elapsed, slice = spin(cpus, TEST)
        expect(slice, "the kernel's slice"):to_be(orrery.ms(10))
        for i = 3, #stamps do -- others are of those who start them, and of their ends
            if stamps[i] % slice < LATE and stamps[i - 1] % slice < LATE then
                lengths:add(stamps[i] - stamps[i - 1])
                late:add(stamps[i] % slice)
            end
        end
        orrery.note(lengths:row())
        orrery.note(late:row())
        expect(lengths:count()):to_be_at_least(29)
        expect(lengths:min()):to_be_at_least(slice - 100)
        expect(lengths:max()):to_be_at_most(slice + 100)
        expect(late:max() - late:min(), "cycles between the earliest and the latest"):to_be_at_most(100)
        expect_small_share(TEST, stamps, inside, elapsed)
        if cpus == 4 then expect(table.concat(spin(cpus, TEST), " "), "a second run"):to_be(table.concat(stamps, " ")) end
    end)
end

-- covers: SC-09 (B)
for _, cpus in ipairs { 1, 2, 4, 8 } do
    it(cpus .. " CPUs: the scheduler takes at most 1 % of one that is busy", function()
        expect_small_share("shares_follow_weights", spin(cpus, "shares_follow_weights"))
    end)
end

-- ---- waking ----

local TIMER <const>, MESSAGE <const> = "a_woken_real_time_thread_runs_at_once", "a_wake_from_another_cpu_is_followed_at_once"
local IDLE <const> = "an_idle_cpu_runs_at_once_who_is_woken_there"

-- Cycles until those run that a program wakes, as it tells them: a histogram of each way.
local function wakes(cpus, tests)
    local m, late = machine(cpus), {}
    expect(m:command("schedmix " .. tests):wait().status):to_be(0)
    for way, cycles in m:console(0):gmatch("# latency (%a+) (%d+)") do
        late[way] = late[way] or orrery.histogram(way)
        late[way]:add(tonumber(cycles))
    end
    return late
end

local function expect_soon(found, least, most)
    orrery.note(found:row())
    expect(found:count(), "wakes by " .. found.name):to_be_at_least(least)
    expect(found:min(), "cycles to the first instruction, " .. found.name):to_be_above(0)
    expect(found:max(), "cycles to the first instruction, " .. found.name):to_be_at_most(most)
end

-- covers: PR-05 (B), SM-02 (B)
for _, cpus in ipairs { 1, 2, 4, 8 } do
    it(cpus .. " CPUs: who is woken by a timer or from another CPU runs within 10 us, whoever is busy there, in a program or"
        .. " in the kernel, and within 5 us on a CPU that sleeps", function()
        local late = wakes(cpus, cpus == 1 and TIMER or TIMER .. " " .. MESSAGE .. " " .. IDLE)
        expect_soon(late.timer, 40, orrery.us(10))
        if cpus == 1 then return end
        expect_soon(late.message, 40, orrery.us(10))
        expect_soon(late.idle, 20 * (cpus - 1), orrery.us(5))
    end)
end

-- ---- statistics ----

-- covers: ST-06 (B: reported, the 1 % is missed)
it("what only counts costs at most 130 cycles of a switch", function()
    local ACCOUNTS <const>, KNOWN <const> = "sched/account.h:", 8 -- lines of it that a switch by yield comes through
    local m, marked, met, lines = machine(1), false, {}, 0
    m:on_entry("invoke_getpid", function() marked = not marked end)
    local command = m:command("kbench yield 0")
    m:wait_for { when = function() return marked end, every = 20, within = orrery.seconds(5) }
    m:run(orrery.us(20))
    local yield = m:symbol("sched_yield")
    local counting, total, yields, at, before = 0, 0, 0, nil, m:register(0, "clock")
    while yields < 50 do
        local rip = m:register(0, "rip")
        local place = m:describe(rip):match("kernel/(%S-)%)$")
        yields, at = yields + ((rip == yield and at ~= rip) and 1 or 0), rip
        m:run(1)
        local now = m:register(0, "clock")
        if place and place:find(ACCOUNTS, 1, true) == 1 then
            lines = lines + (met[place] and 0 or 1)
            counting, met[place] = counting + now - before, true
        end
        total, before = total + now - before, now
    end
    expect(command:wait().status):to_be(0)
    orrery.note(string.format("%d of %d cycles a switch, %.2f %%, in %d lines: the goal of 1 %% is %s", counting // yields,
        total // yields, 100 * counting / total, lines, counting * 100 <= total and "met" or "missed"))
    expect(lines, "lines that count"):to_be_at_least(KNOWN)
    expect(counting // yields, "cycles of statistics"):to_be_at_most(130)
end)

-- ---- locks ----

-- Where a CPU waits for a lock: PAUSE (F3 90) in the code of these, wherever the compiler put it.
local function spin_sites(m)
    local found, known = {}, {}
    for _, name in ipairs { "spin_lock", "spin_lock_irqsave_patient" } do
        for _, range in ipairs(m:inlined(name)) do
            for at in m:read(range.first, range.last - range.first + 1):gmatch("()\xf3\x90") do
                local address = range.first + at - 1
                if not known[address] then found[#found + 1] = address end
                known[address] = true
            end
        end
    end
    return found
end

-- Runs a program and gives what its CPUs waited for locks: by the function that wanted one, waits and their cycles.
local function contention(cpus, line)
    local m, profile, now = machine(cpus), {}, {}
    local sites = spin_sites(m)
    expect(#sites, "places that wait"):to_be_above(100)
    for _, address in ipairs(sites) do
        local name = (m:describe(address):gsub("%+0x.*", ""))
        profile[name] = profile[name] or { name = name, waits = 0, cycles = 0, longest = 0 }
        local at = profile[name]
        m:probe(address, function(cpu, cycle)
            local wait = now[cpu]
            if not wait or wait.address ~= address or cycle - wait.last > SPIN then -- else it is the same wait, a turn later
                wait = { address = address, first = cycle, last = cycle }
                at.waits, now[cpu] = at.waits + 1, wait
            end
            at.cycles, wait.last = at.cycles + cycle - wait.last, cycle
            at.longest = math.max(at.longest, cycle - wait.first)
        end)
    end
    local before = m:cycles()
    expect(m:command(line):wait().status):to_be(0)
    return profile, (m:cycles() - before) * cpus
end

local function report(profile)
    local order, waits, cycles = {}, 0, 0
    for _, at in pairs(profile) do
        waits, cycles = waits + at.waits, cycles + at.cycles
        if at.waits > 0 then order[#order + 1] = at end
    end
    table.sort(order, function(a, b) return a.cycles > b.cycles or a.cycles == b.cycles and a.name < b.name end)
    for i = 1, math.min(6, #order) do
        local at = order[i]
        orrery.note(string.format("  %-20s %4d waits, %7s cycles, longest %6s", at.name, at.waits, orrery.grouped(at.cycles),
            orrery.grouped(at.longest)))
    end
    return waits, cycles
end

-- covers: SM-08 (B)
for _, cpus in ipairs { 2, 4, 8 } do
    it("who waits for locks on " .. cpus .. " CPUs", function()
        for _, line in ipairs { "kbench pairs " .. cpus, "forkstorm --processes 100 --depth 3" } do
            local profile, elapsed = contention(cpus, line)
            orrery.note(line)
            local waits, cycles = report(profile)
            orrery.note(string.format("  %d waits, %.3f %% of the CPUs' time", waits, 100 * cycles / elapsed))
            expect(waits, "waits"):to_be_above(0)
            expect(cycles * 100, "cycles waited"):to_be_at_most(elapsed)
        end
    end)
end

-- ---- messages between CPUs ----

-- covers: SM-01 (S)
it("each message between CPUs comes to the CPU that it was for, and to no other", function()
    local CPUS <const> = 4
    local m = machine(CPUS)
    local handlers = { [m.sym.VECTOR_RESCHEDULE] = "sched_reschedule_interrupt", [m.sym.VECTOR_CALL] = "ipi_handle_call",
        [m.sym.VECTOR_SHOOTDOWN] = "ipi_handle_shootdown" }
    local by_apic, pending, kinds, unasked, selves, latest = {}, {}, {}, 0, 0, 0
    for cpu = 0, CPUS - 1 do by_apic[m.sym.cpu_table[cpu].apic_id] = cpu end
    for vector, handler in pairs(handlers) do
        pending[vector], kinds[vector] = {}, { sent = 0, come = 0, to = {}, left = {} }
        m:on_entry(handler, function(cpu, cycle)
            local at = kinds[vector]
            at.come, at.left[cpu] = at.come + 1, (at.left[cpu] or 0) - 1
            if at.left[cpu] < 0 then unasked = unasked + 1 end
            latest = math.max(latest, cycle - (pending[vector][cpu] or cycle))
            pending[vector][cpu] = nil
        end)
    end
    m:on_entry("lapic_send", function(cpu, cycle)
        local to, vector = by_apic[m:register(cpu, "rdi") & 0xffffffff], m:register(cpu, "rsi") & 0xff
        if to == cpu then selves = selves + 1 end
        local at = kinds[vector]
        at.sent, at.to[cpu] = at.sent + 1, at.to[cpu] or {}
        at.to[cpu][to], at.left[to] = true, (at.left[to] or 0) + 1
        pending[vector][to] = pending[vector][to] or cycle -- a second one before the first is taken may be one with it
    end)
    for _, line in ipairs { "kbench shared-unmap 3", "kbench calls 1", "kbench pairs 4", "kbench deaths 40" } do
        expect(m:command(line):wait().status, line):to_be(0)
    end
    m:run(orrery.us(50))
    for vector, at in pairs(kinds) do
        local name = handlers[vector]
        orrery.note(string.format("%s: %d sent, %d taken", name, at.sent, at.come))
        expect(at.come, name):to_be_above(0)
        expect(next(pending[vector]), "a CPU to which it has not come: " .. name):to_be(nil)
        local most = 0
        for _, to in pairs(at.to) do
            local count = 0
            for _ in pairs(to) do count = count + 1 end
            most = math.max(most, count)
        end
        expect(most, "CPUs that one CPU has sent it to: " .. name):to_be(vector == m.sym.VECTOR_RESCHEDULE and CPUS or CPUS - 1)
    end
    expect(kinds[m.sym.VECTOR_CALL].sent % (CPUS - 1), "calls go to all but the sender"):to_be(0)
    expect(unasked, "taken and not sent"):to_be(0)
    expect(selves, "sent to the sender, so that it looks at its queue once interrupts are on"):to_be_above(0)
    expect(latest, "cycles until the last one was taken"):to_be_at_most(30000)
end)

-- ---- cache lines ----

-- Counts uses of a cache line by two CPUs for different things: what the allocators keep for each CPU, and objects while they
-- live. Which of them: by what a cache was asked for.
local function line_watcher(m)
    local LINE <const> = 64
    local owners, shared, uses = {}, { front = 0, asked = 0, other = 0 }, { front = 0, asked = 0, other = 0 }
    local function use(kind, cpu, first, size, what)
        uses[kind] = uses[kind] + 1
        for line = first // LINE, (first + size - 1) // LINE do
            local here = owners[line] or {}
            owners[line] = here
            for other, by in pairs(here) do
                if other ~= what and by ~= cpu then shared[kind] = shared[kind] + 1 end
            end
            here[what] = cpu
        end
    end
    local function forget(first, size)
        for line = first // LINE, (first + size - 1) // LINE do
            if owners[line] then owners[line][first] = nil end
        end
    end
    local facts, wanted = {}, {}
    local function fact(cache)
        if not facts[cache] then
            local place = m.sym("slab_cache", cache)
            facts[cache] = { size = place.object_size, kind = place.align >= LINE and "asked" or "other",
                fronts = place.fronts[0]:address(), front = place.fronts[0]:sizeof() }
        end
        return facts[cache]
    end
    local function use_front(cpu, cache)
        local at = fact(cache).fronts + cpu * fact(cache).front
        use("front", cpu, at, fact(cache).front, at)
    end
    m:on_entry("slab_alloc_sized", function(cpu)
        wanted[cpu] = m:register(cpu, "rdi")
        use_front(cpu, wanted[cpu])
    end)
    m:on_return("slab_alloc_sized", function(cpu, _, object)
        local of = wanted[cpu] and fact(wanted[cpu])
        if of and object ~= 0 then use(of.kind, cpu, object, of.size, object) end
        wanted[cpu] = nil
    end)
    m:on_entry("slab_free_site", function(cpu)
        local cache = m:register(cpu, "rdi")
        use_front(cpu, cache)
        forget(m:register(cpu, "rsi"), fact(cache).size)
    end)
    for _, symbol in ipairs { "frame_cpu_take", "frame_cpu_give" } do
        m:on_entry(symbol, function(cpu)
            local list = m.sym.frame_manager.cpus[cpu]
            use("front", cpu, list:address(), list:sizeof(), list:address())
        end)
    end
    return shared, uses
end

-- covers: HP-12 (B)
it("no cache line is used by two CPUs that allocate, unless a cache did not ask for it", function()
    local m = machine(4)
    local shared, uses = line_watcher(m)
    for _, line in ipairs { "kbench parallel 4", "kbench pairs 4", "forkstorm --processes 60 --depth 2" } do
        expect(m:command(line):wait().status, line):to_be(0)
    end
    for _, kind in ipairs { "front", "asked", "other" } do
        orrery.note(string.format("%-6s %7s uses, %s times a line of another CPU", kind, orrery.grouped(uses[kind]), orrery.grouped(shared[kind])))
        expect(uses[kind], kind):to_be_above(200)
    end
    expect(shared.front, "lines of what is each CPU's own"):to_be(0)
    expect(shared.asked, "lines of objects that ask for them"):to_be(0)
    expect(shared.other, "lines of others: the counter counts"):to_be_above(0)
end)

-- The counter of false sharing, which sees every access. Of what each CPU keeps for itself there is next to none; what is left lies
-- in words of ticket locks, mostly of the audit ring's, which is one for all.
-- covers: HP-12 (B)
it("CPUs that derive and delete take hardly a line from each other for bytes that they do not use", function()
    local m = orrery.machine { kernel = "orrery", cpus = 4, memory = "256M", machine = "zen4-like" }:boot()
    m:count_sharing()
    local of, all = {}, 0
    for _, row in ipairs(m:profile_of(function() expect(m:command("kbench parallel 4"):wait().status):to_be(0) end)) do
        of[row.name] = (of[row.name] or 0) + row.false_sharing
        all = all + row.false_sharing
    end
    local function group(name, bound, functions)
        local count = 0
        for _, f in ipairs(functions) do count = count + (of[f] or 0) end
        orrery.note(string.format("%s: %d", name, count))
        expect(count, name):to_be_at_most(bound)
    end
    group("grace periods", 20, { "rcu_synchronize", "rcu_interrupt", "rcu_answer" })
    group("entries of the kernel and IPIs", 150, { "syscall_entry", "trap_dispatch", "ipi_reschedule", "extreme", "cheapest" })
    group("removals", 100, { "cap_delete", "removal_begin", "removal_end", "wait_queue_wake_all" })
    group("slots", 150, { "slot_take", "give_locked", "record_of" })
    group("allocators", 400, { "slab_alloc_sized", "slab_free_site", "slab_trim", "refill_front", "flush_front",
        "frame_alloc", "frame_free_of", "frame_lookup", "frame_put", "frame_cpu_take", "frame_cpu_give" })
    orrery.note(string.format("all: %d, audit ring: %d", all, of.audit_note or 0))
    expect(all, "all"):to_be_at_most(3500)
    expect(all, "the counter counts"):to_be_above(100)
end)
