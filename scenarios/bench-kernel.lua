-- Purpose: what the kernel's operations cost, in cycles of the timed engine, from user instruction to user instruction; what
-- cannot be seen from user mode is timed from entry to return of a kernel function, which costs the guest nothing.
-- Expects: every measurement ends well. Prints `samples ROW cold|warm VALUES`, which scripts/bench-kernel makes a page of.
-- Options: --cpus N; --set machine=NAME (a timing model; default: the first cost table); --set instructions=1 (not cycles: one of
-- the fast engine is an instruction); --set rounds=N (processes a
-- measurement; the first sample of each is cold); --set only=GROUP,GROUP; --set
-- profile=MEASUREMENT (instead: where the cycles between its marks go, function by function; "marked-calls 100");
-- --set count=KIND (hundredths of what is counted, not cycles: "misses": page walks; "fixed": cycles of what hardware sets
-- the price of; "locked": instructions with a lock) with --set readings=ADDRESS,ADDRESS (behind every RDTSC of kbench and
-- kborn).

local cpus = orrery.args.cpus or 1
local rounds = orrery.args.rounds or 2
local engine = orrery.args.instructions and "fast" or "timed"
local only = orrery.args.only or ""
local counting = orrery.args.count
local WARM_UP = 8 -- samples behind the first that count as neither cold nor warm

-- ---- what is counted instead of cycles ----

local HUNDREDTHS <const> = 100 -- so much is left of rows that kbench divides
local FAR <const>, SYSTEM <const>, PORT <const> = 40, 50, 200
local TIME <const>, STATE <const>, CPUID <const> = 35, 100, 100
local PRICES <const> = { sysret = FAR, iretq = FAR, swapgs = SYSTEM, wrmsr = SYSTEM, rdmsr = SYSTEM, clts = SYSTEM,
    hlt = SYSTEM, invlpg = SYSTEM, invpcid = SYSTEM, ["in"] = PORT, out = PORT, rdtsc = TIME, fxsave64 = STATE, fxrstor64 = STATE,
    cpuid = CPUID } -- sim/timing/cost.def
local sum, sites = 0, nil

-- What an instruction adds to the sum, as the machine disassembles it; nil: nothing.
local function adds(text)
    local name, operands = text:match("^(%S+)%s*(.*)")
    if counting == "locked" then return (name == "lock" or name == "xchg" and operands:find("[", 1, true)) and 1 or nil end
    if name == "mov" and operands:find("%f[%a]cr%d") then return SYSTEM end
    return PRICES[name]
end

local function sites_of(m)
    local found, at, stop = {}, assert(m:symbol("text_start")), assert(m:symbol("text_end"))
    while at < stop do
        local text, length = m:disassemble(at)
        local worth = adds(text)
        if worth then found[#found + 1] = { address = at, worth = worth } end
        at = at + math.max(length, 1)
    end
    return found
end

-- What has been counted; the clock when nothing is.
local function reading(m, cpu, cycle)
    if not counting then return cycle end
    if counting == "misses" then return m:count("page-walks", cpu) * HUNDREDTHS end
    local delivered = counting == "fixed" and m:count("exceptions", cpu) + m:count("interrupts", cpu) or 0
    return (sum + FAR * delivered) * HUNDREDTHS
end

-- From here on kbench reads what is counted where it reads the time.
local function count_in(m)
    sum, sites = 0, sites or (counting == "misses" and {} or sites_of(m))
    for _, site in ipairs(sites) do m:probe(site.address, function() sum = sum + site.worth end) end
    if counting == "fixed" then m:on_entry("syscall_entry", function() sum = sum + FAR end) end
    local read = {} -- on a CPU: it has executed RDTSC since; what follows may fault and be executed again
    for text in orrery.args.readings:gmatch("%x+") do
        local address = math.tointeger(tonumber(text, 16))
        m:probe(address - 2, function(cpu)
            read[cpu] = m:register(cpu, "cpl") == 3 and m:read(address - 2, 2, cpu) == "\x0f\x31" and address
        end)
        m:probe(address, function(cpu, cycle)
            if read[cpu] ~= address then return end
            read[cpu] = nil
            if counting == "fixed" then sum = sum + TIME end
            local now = reading(m, cpu, cycle)
            m:set_register(cpu, "rax", now & 0xffffffff)
            m:set_register(cpu, "rdx", now >> 32)
        end)
    end
end

local function machine(options)
    options = options or {}
    options.cpus, options.memory, options.kernel, options.engine = cpus, "512M", "orrery", engine
    options.machine = engine == "timed" and orrery.args.machine or nil
    local m = orrery.machine(options):boot()
    if counting then count_in(m) end
    return m
end

-- ---- rows ----

local names, rows = {}, {}

local function row(name)
    if not rows[name] then
        rows[name] = { cold = orrery.histogram(name), warm = orrery.histogram(name), text = { cold = {}, warm = {} } }
        names[#names + 1] = name
    end
    return rows[name]
end

local function add(name, kind, value)
    local at = row(name)
    at[kind]:add(value)
    table.insert(at.text[kind], tostring(value))
end

-- One process's samples, in their order.
local function add_series(name, series)
    local warm_up = #series > 2 * WARM_UP and WARM_UP or 0
    for i, value in ipairs(series) do
        if i == 1 and #series > 1 then
            add(name, "cold", value)
        elseif i == 1 or i > 1 + warm_up then
            add(name, "warm", value)
        end
    end
end

local function print_rows()
    for _, name in ipairs(names) do
        local at = rows[name]
        orrery.note(at.warm:row())
        for _, kind in ipairs { "cold", "warm" } do
            if #at.text[kind] > 0 then print("samples " .. name .. " " .. kind .. " " .. table.concat(at.text[kind], " ")) end
        end
    end
end

-- ---- what is watched between the marks of a measurement ----

local watching = false
local watchers = {} -- set their probes and return the ids of them

local function watch_marks(m)
    local ids = {}
    watchers, watching = {}, false
    m:on_entry("invoke_getpid", function()
        watching = not watching
        for _, id in ipairs(ids) do m:unprobe(id) end
        ids = {}
        for _, set in ipairs(watching and watchers or {}) do
            for _, id in ipairs { set() } do ids[#ids + 1] = id end
        end
    end)
end

local function watch_entry(m, symbol, fn)
    watchers[#watchers + 1] = function() return m:on_entry(symbol, fn) end
end

-- Times every call of a function on a CPU (any when that is nil) from its entry to its return. prepare(cpu) gives what done
-- gets besides the cycles.
local function time_calls(m, symbol, on_cpu, prepare, done)
    watchers[#watchers + 1] = function()
        local begun = {}
        local entry = m:on_entry(symbol, function(cpu, cycle)
            if not on_cpu or cpu == on_cpu then begun[cpu] = { reading(m, cpu, cycle), prepare and prepare(cpu) } end
        end)
        return entry, m:on_return(symbol, function(cpu, cycle)
            local from = begun[cpu]
            begun[cpu] = nil
            if from and watching then done(reading(m, cpu, cycle) - from[1], from[2], cpu) end
        end)
    end
end

-- ---- running ----

-- Runs a measurement and gives the rows it printed: name -> series.
local function run(m, line)
    watching = false
    local from = #m:console(0)
    expect(m:command("kbench " .. line):wait { within = orrery.seconds(20) }.status, line):to_be(0)
    local series, last = {}, nil
    for text in m:console(0, from):gmatch("[^\r\n]+") do
        local name = text:match("^kbench: row (%S+)$")
        if name then
            last = {}
            series[#series + 1] = { name, last }
        elseif text:match("^kbench:[ %d]+$") then
            for value in text:gmatch("%d+") do last[#last + 1] = math.tointeger(tonumber(value)) end
        end
    end
    return series
end

-- rename: rows by their printed names; false leaves a row out
local function measure(m, line, rename)
    for _ = 1, rounds do
        for _, one in ipairs(run(m, line)) do
            local name = rename and rename[one[1]]
            if name == nil then name = one[1] end
            if name then add_series(name, one[2]) end
        end
    end
end

-- A measurement with rows that probes see: they gather into the series of a table. Of what it prints, rename names the rest.
local function measure_watched(m, line, gathered, times, rename)
    for _ = 1, times or rounds do
        for _, series in pairs(gathered) do
            for i = #series, 1, -1 do series[i] = nil end
        end
        local printed = run(m, line)
        for name, series in pairs(gathered) do add_series(name, series) end
        for _, one in ipairs(printed) do
            if rename and rename[one[1]] then add_series(rename[one[1]], one[2]) end
        end
    end
end

-- ---- the measurements, in the order of the table ----

local groups = {}

-- Takes the longest samples out of a series.
local function drop_longest(name, series, count)
    for _ = 1, count do
        local at = 1
        for i, value in ipairs(series) do if value > series[at] then at = i end end
        orrery.note(string.format("%s: %d cycles with a timer interrupt", name, table.remove(series, at)))
    end
end

local function group(name, body) groups[#groups + 1] = { name, body } end

-- IP-24: calls at any time, on a CPU that has been busy or idle, before and after interrupts
group("latency", function()
    local m = machine()
    for server = 0, math.min(cpus - 1, 1) do
        local names = {}
        for _, what in ipairs { "call", "one-way", "answer" } do
            names["ipc-" .. what] = "latency-" .. what .. (server == 0 and "" or "-remote")
        end
        measure(m, "varied-calls " .. server, names)
    end
end)

-- IP-11 IP-13
group("ipc", function()
    local m = machine()
    measure(m, "calls 0")
    if cpus > 1 then
        measure(m, "calls 1",
            { ["ipc-call"] = "ipc-call-remote", ["ipc-one-way"] = "ipc-one-way-remote", ["ipc-answer"] = "ipc-answer-remote" })
    end
end)

-- IP-12
group("regions", function() measure(machine(), "regions") end)

-- SC-08
group("yield", function()
    local m = machine()
    measure(m, "yield 0", { ["yield-switch"] = "yield-switch-fair", ["yield-alone"] = "yield-alone" })
    measure(m, "thread-yield 0", { ["yield-thread"] = "yield-thread-fair" })
    measure(m, "thread-yield 1", { ["yield-thread"] = "yield-thread-fifo" })
    measure(m, "yield 1", { ["yield-switch"] = "yield-switch-fifo", ["yield-alone"] = false })
end)

-- SC-07: of so many in the queue
group("pick", function()
    local m = machine()
    watch_marks(m)
    local gathered, ready = {}, 0
    local function queued() return m.sym.cpu_table[0].queue.ready_count end
    time_calls(m, "run_queue_take", 0, queued, function(cycles, count)
        if count == ready then table.insert(gathered["pick-" .. ready], cycles) end
    end)
    for _, count in ipairs { 10, 100, 1000, 1 } do
        ready, gathered = count, { ["pick-" .. count] = {} }
        measure_watched(m, count == 1 and "one-runnable" or "runnable " .. count - 1, gathered)
    end
end)

-- MM-17
group("frames", function()
    local m = machine()
    watch_marks(m)
    local gathered = { ["frame-cpu"] = {}, ["frame-refill"] = {}, ["frame-zone"] = {} }
    local from_zone, refilled, zeroing = false, false, 0
    watch_entry(m, "take_slow", function() from_zone = true end)
    watch_entry(m, "zone_take_batch", function() refilled = true end)
    time_calls(m, "memset", 0, nil, function(cycles) zeroing = zeroing + cycles end)
    time_calls(m, "frame_alloc", 0, function()
        from_zone, refilled, zeroing = false, false, 0
    end, function(cycles)
        local name = from_zone and "frame-zone" or refilled and "frame-refill" or "frame-cpu"
        table.insert(gathered[name], cycles - zeroing)
    end)
    measure_watched(m, "faults", gathered)
    measure_watched(m, "zone-frames", gathered)
end)

-- A front that has an object, or room for one: the fast way.
local function watch_objects(m, gathered, suffix)
    local wanted, capacity = {}, 0
    local function prepare(cpu)
        local cache = m:register(cpu, "rdi")
        if wanted[cache] == nil then wanted[cache] = m.sym("slab_cache", cache).name:string() == "notification" end
        local front = m.sym("slab_cache", cache).fronts[cpu]
        capacity = #front.objects
        return wanted[cache] and front.count or -1
    end
    time_calls(m, "slab_alloc_sized", 0, prepare, function(cycles, count)
        if count > 0 then table.insert(gathered["slab-alloc-" .. suffix()], cycles) end
    end)
    time_calls(m, "slab_free_site", nil, prepare, function(cycles, count)
        if count >= 0 and count < capacity - 1 then table.insert(gathered["slab-free-" .. suffix()], cycles) end
    end)
end

-- HP-10 HP-19
group("slab", function()
    local m = machine()
    watch_marks(m)
    local gathered, live = {}, 0
    -- the same table for all: what is watched is what runs
    watch_objects(m, setmetatable({}, { __index = function(_, name) return gathered[name] end }), function() return live end)
    for _, others in ipairs(cpus == 1 and { 1, 100, 10000, 100000 } or { 1, 100 }) do
        live = others
        gathered = { ["slab-alloc-" .. live] = {}, ["slab-free-" .. live] = {} }
        measure_watched(m, "objects " .. others, gathered, others > 1000 and 1 or rounds)
    end
end)

-- VM-07
group("map", function()
    local m = machine()
    -- Calls into which the timer came are the longest ones: so many of them are told apart.
    local inside, interrupted = false, 0
    local ids = {
        m:on_entry("invoke_map", function() inside = true end),
        m:on_return("invoke_map", function() inside = false end),
        m:on_entry("sched_timer_interrupt", function(cpu) if inside and cpu == 0 then interrupted = interrupted + 1 end end),
    }
    for _ = 1, rounds do
        interrupted = 0
        for _, one in ipairs(run(m, "map")) do
            if one[1] == "map-1" then drop_longest(one[1], one[2], interrupted) end
            add_series(one[1], one[2])
        end
    end
    for _, id in ipairs(ids) do m:unprobe(id) end
    measure(m, "faults")
end)

-- VM-04
group("shootdown", function()
    if cpus == 1 then return end
    local m = machine()
    watch_marks(m)
    local gathered, targets = { ["shootdown-kernel-per-cpu"] = {} }, 0
    watch_entry(m, "lapic_send", function() targets = targets + 1 end)
    time_calls(m, "shootdown_flush", nil, function() targets = 0 end, function(cycles)
        local _, series = next(gathered)
        if targets > 0 then table.insert(series, cycles // targets) end
    end)
    measure_watched(m, "deaths 160", gathered)
    gathered = { ["shootdown-user-per-cpu"] = {} }
    measure_watched(m, "shared-unmap " .. cpus - 1, gathered, nil, { ["unmap-shared"] = "unmap-shared" })
end)

-- CP-05
group("capabilities", function()
    local m = machine()
    watch_marks(m)
    local gathered, among, missed = {}, 0, false
    watch_entry(m, "lookup_record", function() missed = true end)
    time_calls(m, "cap_lookup", 0, function() missed = false end, function(cycles)
        table.insert(gathered[(missed and "cap-miss-" or "cap-hit-") .. among], cycles)
    end)
    for _, count in ipairs { 1, 1000, 65000 } do
        among = count
        gathered = { ["cap-hit-" .. among] = {}, ["cap-miss-" .. among] = {} }
        measure_watched(m, "lookups " .. count, gathered, nil, { ["lookup-call-same"] = "cap-call-same-" .. count,
            ["lookup-call-others"] = "cap-call-others-" .. count })
    end
end)

-- PS-16
group("births", function()
    local m = machine()
    measure(m, "fork")
    measure(m, "spawn")
    measure(m, "sys-spawn")
end)

-- IP-23 IP-27
group("throughput", function()
    local m = machine()
    measure(m, "flood 64", { flood = "flood-64" })
    measure(m, "flood 1", { flood = "flood-1" })
    measure(m, "batches")
end)

-- IP-28
group("sizes", function()
    local m = machine()
    for _, bytes in ipairs { 0, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096 } do
        measure(m, "size " .. bytes, { size = "size-" .. bytes })
    end
end)

-- SM-08
group("pairs", function()
    local m = machine()
    local pairs_now = 1
    while pairs_now <= cpus do
        for _, one in ipairs(run(m, "pairs " .. pairs_now)) do
            local sum = 0
            for _, count in ipairs(one[2]) do sum = sum + count end
            add("pairs-" .. pairs_now, "warm", sum)
        end
        pairs_now = pairs_now * 2
    end
end)

-- HP-18
group("heap", function()
    local m = machine()
    watch_marks(m)
    local gathered, size = {}, 0
    local given = {} -- what is in use of that size
    time_calls(m, "kheap_alloc", 0, function(cpu) return m:register(cpu, "rdi") end, function(cycles, bytes, cpu)
        if bytes == size then
            table.insert(gathered["heap-alloc-" .. size], cycles)
            given[m:register(cpu, "rax")] = true
        end
    end)
    time_calls(m, "kheap_free", nil, function(cpu)
        local pointer = m:register(cpu, "rdi")
        local known = given[pointer]
        given[pointer] = nil
        return known
    end, function(cycles, known)
        if known then table.insert(gathered["heap-free-" .. size], cycles) end
    end)
    for words = 1, 7 do
        size = 8 << words
        gathered = { ["heap-alloc-" .. size] = {}, ["heap-free-" .. size] = {} }
        measure_watched(m, "heap " .. (1 << words), gathered)
    end
end)

-- IP-19
group("endpoints", function()
    local m = machine()
    for _, count in ipairs(cpus == 1 and { 1, 1000, 65536 } or { 1, 1000 }) do
        for _, one in ipairs(run(m, "calls-among " .. count)) do
            if one[1] == "ipc-call" then add_series("ipc-call-among-" .. count, one[2]) end
        end
    end
end)

-- SC-29
group("processes", function()
    local m = machine()
    watch_marks(m)
    local gathered, own = { ["process-get-own"] = {}, ["process-get-child"] = {} }, false
    time_calls(m, "process_get", 0, function(cpu)
        return m.kernel.current_process(cpu).pid.number == m:register(cpu, "rdi") & 0xffffffff
    end, function(cycles, is_own)
        table.insert(gathered[is_own and "process-get-own" or "process-get-child"], cycles)
    end)
    measure_watched(m, "processes", gathered, nil, { ["info-own"] = "process-info-own", ["info-child"] = "process-info-child" })
end)

-- CP-26 CP-20
group("capability-system", function()
    local m = machine()
    measure(m, "hits", { ["ipc-call"] = false, ["ipc-one-way"] = false, ["ipc-answer"] = false })
    measure(m, "derive")
    for _, count in ipairs { 1, 16, 256, 1024 } do measure(m, "revoke " .. count, { revoke = "cap-revoke-" .. count }) end
    local now = 1
    while now <= cpus and not counting do -- it ends at a time
        for _, one in ipairs(run(m, "parallel " .. now)) do
            local sum = 0
            for _, count in ipairs(one[2]) do sum = sum + count end
            add("parallel-" .. one[1] .. "-" .. now, "warm", sum)
        end
        now = now * 2
    end
end)

-- CP-18
group("inherit", function()
    local m = machine()
    watch_marks(m)
    local gathered, count = {}, 0
    time_calls(m, "cap_space_clone", 0, nil, function(cycles) table.insert(gathered["cap-clone-" .. count], cycles) end)
    for _, copies in ipairs { 0, 64, 1024 } do
        count = copies
        gathered = { ["cap-clone-" .. count] = {} }
        measure_watched(m, "inherit " .. count, gathered)
    end
end)

-- From the command to the interrupt controller until the other CPU's handler. SM-01
group("interrupts", function()
    if cpus == 1 then return end
    local m = machine()
    local handlers = { [m.sym.VECTOR_RESCHEDULE] = "sched_reschedule_interrupt", [m.sym.VECTOR_CALL] = "ipi_handle_call",
        [m.sym.VECTOR_SHOOTDOWN] = "ipi_handle_shootdown" }
    local names_of = { sched_reschedule_interrupt = "ipi-reschedule", ipi_handle_call = "ipi-call",
        ipi_handle_shootdown = "ipi-shootdown" }
    local series, sent, by_apic = {}, {}, {}
    for cpu = 0, cpus - 1 do by_apic[m.sym.cpu_table[cpu].apic_id] = cpu end
    for _, handler in pairs(handlers) do
        local name = names_of[handler]
        series[name], sent[handler] = {}, {}
        m:on_entry(handler, function(cpu, cycle)
            if sent[handler][cpu] then table.insert(series[name], cycle - sent[handler][cpu]) end
            sent[handler][cpu] = nil
        end)
    end
    m:on_entry("lapic_send", function(cpu, cycle)
        local handler, to = handlers[m:register(cpu, "rsi") & 0xff], by_apic[m:register(cpu, "rdi") & 0xffffffff]
        if handler and to then sent[handler][to] = sent[handler][to] or cycle end
    end)
    run(m, "calls 1")
    run(m, "shared-unmap " .. cpus - 1)
    run(m, "deaths 40")
    for _, name in ipairs { "ipi-reschedule", "ipi-call", "ipi-shootdown" } do add_series(name, series[name]) end
end)

-- What each device of the fast path saves: the same calls without it. TS-13
group("ablation", function()
    local CALLS = 100
    local rename = { ["ipc-one-way"] = false }
    local function variant(name, options, prepare)
        local m = machine(options)
        if prepare then prepare(m) end
        rename["ipc-call"] = "ablation-" .. name
        measure(m, "marked-calls " .. CALLS, rename)
    end
    local function without_short_way(m)
        for _, symbol in ipairs { "ipc_fast_call", "ipc_fast_reply" } do m:fail_call(symbol, m.sym.IPC_COUNTER_LONG_PARTNER, { always = true }) end
    end
    variant("none")
    variant("no-short-way", nil, without_short_way)
    variant("no-handoff", nil, function(m) -- wakes the partner and blocks, as when the hand-over is impossible
        local wake, block = assert(m:symbol("sched_wake")), assert(m:symbol("sched_block"))
        local deadlines = {}
        without_short_way(m)
        m:on_entry("sched_handoff", function(cpu)
            deadlines[cpu] = m:register(cpu, "rsi")
            m:set_register(cpu, "rip", wake)
        end)
        m:on_return("sched_wake", function(cpu)
            if not deadlines[cpu] then return end
            m:set_register(cpu, "rdi", deadlines[cpu])
            m:set_register(cpu, "rsp", m:register(cpu, "rsp") - 8) -- where the return address still is
            m:set_register(cpu, "rip", block)
            deadlines[cpu] = nil
        end)
    end)
    local function without_cache(m)
        local slow = assert(m:symbol("lookup_record"))
        m:on_entry("cap_lookup", function(cpu) m:set_register(cpu, "rip", slow) end)
    end
    variant("no-cap-cache-short", nil, function(m) -- the short way looks into the slot each time before it begins
        local REGISTERS = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" }
        local slow, saved, begins = assert(m:symbol("lookup_record")), {}, {}
        without_cache(m)
        for _, symbol in ipairs { "ipc_fast_call", "ipc_fast_reply" } do
            local address = assert(m:symbol(symbol))
            m:on_entry(symbol, function(cpu)
                if begins[cpu] then
                    begins[cpu] = nil
                    return
                end
                local frame = m.sym("frame", m:register(cpu, "rdi"))
                local space = m.sym("cpu", m:register(cpu, "gs_base")).current.process.caps
                saved[cpu] = { rip = address }
                for _, name in ipairs(REGISTERS) do saved[cpu][name] = m:register(cpu, name) end
                local arguments = { rdi = space:address(), rsi = frame.rdi, rdx = m.sym.CAP_ENDPOINT, rcx = 0,
                    r8 = m:register(cpu, "rsp") - 1024, rip = slow } -- what it finds goes below the stack
                for name, value in pairs(arguments) do m:set_register(cpu, name, value) end
            end)
        end
        m:on_return("lookup_record", function(cpu)
            if not saved[cpu] then return end
            for name, value in pairs(saved[cpu]) do m:set_register(cpu, name, value) end
            m:set_register(cpu, "rsp", m:register(cpu, "rsp") - 8) -- where the return address still is
            saved[cpu], begins[cpu] = nil, true
        end)
    end)
    variant("no-cap-cache", nil, function(m) -- neither is there a short way
        without_short_way(m)
        without_cache(m)
    end)
    variant("no-pcid", { cpu = "orrery,-pcid" })
end)

-- Cycles that a call and its answer spend in the code of the capability system, wherever the compiler put it: instruction by
-- instruction. CP-28
group("checks", function()
    local CALLS = 20
    local m = machine()
    watch_marks(m)
    local command = m:command("kbench marked-calls " .. CALLS)
    m:wait_for { when = function() return watching end, every = 20, within = orrery.seconds(5) }
    local sum, before = 0, m:register(0, "clock")
    while watching do
        local checks = m:describe(m:register(0, "rip")):find("kernel/cap/", 1, true)
        m:run(1)
        local now = m:register(0, "clock")
        if checks then sum = sum + now - before end
        before = now
    end
    expect(command:wait().status):to_be(0)
    add("ipc-call-checks", "warm", sum // CALLS)
end)

-- ---- where the cycles go ----

local STEP = 23 -- cycles between two looks

-- The function that a CPU is in; user mode as one.
local function place(m)
    if m:register(0, "cpl") == 3 then return "user mode" end
    return (m:describe(m:register(0, "rip")):match("^[^+ ]+"))
end

local function profile(line)
    local m = machine()
    watch_marks(m)
    local counts, order, total = {}, {}, 0
    watching = false
    local command = m:command("kbench " .. line)
    m:wait_for { when = function() return watching end, every = STEP, within = orrery.seconds(5) }
    while watching do
        m:run(STEP)
        local at = place(m)
        if not counts[at] then
            counts[at] = 0
            order[#order + 1] = at
        end
        counts[at] = counts[at] + STEP
        total = total + STEP
    end
    expect(command:wait().status):to_be(0)
    table.sort(order, function(a, b) return counts[a] > counts[b] or counts[a] == counts[b] and a < b end)
    for _, at in ipairs(order) do print(string.format("profile %s %d %.1f", at, counts[at], 100 * counts[at] / total)) end
end

if orrery.args.profile then
    it("profile of " .. orrery.args.profile, function() profile(orrery.args.profile) end)
else
    describe("the kernel's operations on " .. cpus .. " CPUs", function()
        for _, one in ipairs(groups) do
            if only == "" or ("," .. only .. ","):find("," .. one[1] .. ",", 1, true) then
                it(one[1], function()
                    names, rows = {}, {}
                    one[2]()
                    print_rows()
                end)
            end
        end
    end)
end
