-- Purpose: how long the kernel keeps interrupts off, and how long it cannot be preempted, while programs make it do what it
-- does: every window on every CPU, in cycles of the timed engine, with the function that opened it and the one that closed it.
-- Expects: none is longer than 30,000 cycles (10 us), none that the allocators of frames and of the heap open longer than 2,000, none
-- with a tree of capabilities locked, as for a step of a revocation, longer than 8,000, however deep or wide the tree is.
-- Options: --cpus N, --numa N, --memory N; --set show=N windows of each kind; --set "load=PROGRAM ...; PROGRAM ..." other programs,
-- at once; --set least=N windows of each group that there have to be.
-- covers: IR-10 (B), HP-07 (B), CP-07

local CEILING <const> = 30000
local GOAL <const> = 3000
local ALLOCATORS <const>, TREES <const> = 2000, 8000
local IF <const> = 1 << 9
local shown, least = orrery.args.show or 5, orrery.args.least or 1000

local loads = {
    "forkstorm --processes 24 --depth 3",
    "ipctest calls_are_answered_word_for_word a_channel_keeps_order_while_it_wraps a_revocation_wakes_who_waits regions_are_shared",
    "threadtest threads_start_and_are_joined a_mutex_lets_one_in threads_share_the_heap",
    "selftest registers_survive_a_call exec_replaces_the_program",
    "memhog 4",
}
if orrery.args.load then
    loads = {}
    for line in orrery.args.load:gmatch("[^;]+") do loads[#loads + 1] = line:match("^%s*(.-)%s*$") end
end

-- ---- where something begins or ends ----

-- What happens at a site, given the interrupt flag and the number of preempt_disable as they are before its instruction.
-- Each returns whether it changes something, and what else names the place. All that is read is what this CPU sees.
local function word_at(m, cpu, address, format)
    return (string.unpack(format, assert(m:read(address, string.packsize(format), cpu))))
end

local function stacked(m, cpu, word) return word_at(m, cpu, m:register(cpu, "rsp") + 8 * word, "<I8") end

local kinds = {
    cli = function(_, _, enabled) return enabled end,
    sti = function(_, _, enabled) return not enabled end,
    syscall = function() return true end,
    interrupt = function(m, cpu) return stacked(m, cpu, 4) & IF ~= 0, stacked(m, cpu, 0) end,
    iretq = function(m, cpu) return stacked(m, cpu, 2) & IF ~= 0 end,
    sysretq = function() return true end,
    hold = function(m, cpu, _, holds) return holds() == 0, stacked(m, cpu, 0) end,
    free = function(m, cpu, _, holds) return holds() == 1, stacked(m, cpu, 0) end,
    block = function(_, _, _, holds) return holds() == 1 end,
}
local ENDS <const> = { sti = true, iretq = true, sysretq = true, free = true, block = true }
local HOLDS <const> = { hold = true, free = true, block = true }

-- Does the instruction change a word at this offset?
local function is_change(m, at, offset)
    local does, where = m:disassemble(at):match("^(%a+) ([^,]*)")
    return does and does ~= "cmp" and where:find(string.format("+0x%x]", offset), 1, true)
end

-- The address of the instruction of a function that changes a word at this offset.
local function change_in(m, name, offset)
    for _, at in ipairs(m:code_of(name)) do
        if is_change(m, at, offset) then return at end
    end
    error(name .. " changes nothing there")
end

-- The same in a range of addresses, or nil.
local function change_between(m, first, last, offset)
    while first <= last do
        local _, size = m:disassemble(first)
        if is_change(m, first, offset) then return first end
        first = first + math.max(size, 1)
    end
end

-- Every CLI and STI of the kernel's code, wherever the compiler put it: it does not say of each which function it is of.
local function sites_of(m)
    local sites, known = {}, {}
    local function add(kind, address)
        if not known[address] then sites[#sites + 1] = { kind = kind, address = address } end
        known[address] = true
    end
    local at, stop = assert(m:symbol("text_start")), assert(m:symbol("text_end"))
    while at < stop do
        local text, length = m:disassemble(at)
        if text == "cli" or text == "sti" then add(text, at) end
        at = at + math.max(length, 1)
    end
    local function find(kind, symbol, code)
        local first = assert(m:symbol(symbol), symbol)
        add(kind, first + assert(m:read(first, 128):find(code, 1, true), symbol) - 1)
    end
    find("syscall", "syscall_entry", "")
    find("interrupt", "trap_common", "")
    find("iretq", "trap_iret", "")
    find("interrupt", "trap_ist", "")
    find("iretq", "trap_ist_return", "\x48\xcf")
    for _, symbol in ipairs { "syscall_return", "message_resume" } do find("sysretq", symbol, "\x48\x0f\x07") end
    local disabled = m.sym("thread", 0):offsetof("preempt_disable")
    add("hold", change_in(m, "preempt_disable", disabled))
    for _, range in ipairs(m:inlined("preempt_disable")) do
        add("hold", change_between(m, range.first, range.last, disabled) or range.first)
    end
    add("free", (m:symbol("preempt_enable")))
    for _, range in ipairs(m:inlined("preempt_enable")) do add("free", range.first) end
    for _, symbol in ipairs { "sched_block", "sched_handoff" } do add("block", change_in(m, symbol, disabled)) end
    add("free", (m:symbol("sched_exit")))
    return sites
end

-- ---- windows ----

-- The functions of os/kernel/mm/{frame*,zone,slab,kheap}.c.
local allocators <const> = { "^frame_", "^zone_", "^slab_", "^kheap_", "^give_back$", "^refill", "^obey_drain$", "^shed_empty$",
    "^take_fresh$", "^take_slow$", "^free_slow$", "^claim_arena$", "^add_arena$", "^free_arenas$", "^reserve_one$", "^unreserve_one$" }

-- Which group's bound a window keeps that begins there, beside that of all.
local function group_of(m, site)
    if site.kind ~= "cli" then return nil end
    local name = m:describe(site.address):match("^[%w_]+")
    if name == "cap_tree_lock" then return "trees" end
    for _, pattern in ipairs(allocators) do
        if name:find(pattern) then return "allocators" end
    end
end

local function place_name(m, site, detail)
    local where = site.address
    if site.kind == "interrupt" then return "interrupt " .. detail end
    if detail and m:describe(detail):find("+", 1, true) then where = detail end -- who called it
    return (m:describe(where):gsub("%+0x.*", ""))
end

-- What a place begins or ends, by kind of place and detail; each the same table every time.
local function placer(m)
    local places = { count = 0 }
    return function(site, detail)
        local key = site.address .. ":" .. (detail or "")
        if not places[key] then
            places.count = places.count + 1
            places[key] = { number = places.count, site = site, name = place_name(m, site, detail) }
            places[key].group = group_of(m, site)
        end
        return places[key]
    end
end

local function windows_named(name)
    return { all = orrery.histogram(name), allocators = orrery.histogram("allocators"), trees = orrery.histogram("trees"),
        longest = {}, began = {}, from = {}, known = {}, twice = 0, lost = 0, void = 0 }
end

-- Of one CPU. What is going on when this begins to look has no beginning.
local function begins(windows, cpu, cycle, place)
    windows.twice = windows.twice + (windows.from[cpu] and 1 or 0)
    windows.began[cpu], windows.from[cpu], windows.known[cpu] = cycle, place, true
end

local function ends(windows, cpu, cycle, to)
    local from = windows.from[cpu]
    windows.from[cpu] = nil
    if not from then
        windows.lost = windows.lost + (windows.known[cpu] and 1 or 0)
        windows.known[cpu] = true
        return
    end
    local length, key = cycle - windows.began[cpu], from.number << 32 | to.number
    windows.all:add(length)
    if from.group then windows[from.group]:add(length) end
    local longest = windows.longest[key]
    if longest and longest.length >= length then return end
    windows.longest[key] = { length = length, from = from.name, to = to.name }
end

-- Takes events of a CPU in their order. A hold is told of before its instruction; an interrupt may come between the two and
-- take the thread's CPU away: then another thread holds while that one, `by`, does not, and its window was none.
local function watcher()
    local interrupts, holds = windows_named("interrupts-off"), windows_named("holds")
    local preemption = windows_named("preemption-off")
    local by = {}
    return function(cpu, cycle, place, running, held)
        local kind = place.site.kind
        local step = ENDS[kind] and ends or begins
        if kind == "hold" then
            local thread = running(cpu)
            if holds.from[cpu] and by[cpu] ~= thread and held(by[cpu]) == 0 then
                holds.from[cpu], holds.void = nil, holds.void + 1
                if not interrupts.from[cpu] then preemption.from[cpu] = nil end
            end
            by[cpu] = thread
        end
        step(HOLDS[kind] and holds or interrupts, cpu, cycle, place)
        local stuck = interrupts.from[cpu] or holds.from[cpu]
        if not stuck == not preemption.from[cpu] then return end
        step(preemption, cpu, cycle, place)
    end, interrupts, holds, preemption
end

-- Runs the loads with a probe at every site. Returns the three kinds of windows.
local function observe()
    -- The ports take their time: at once, the text of a command is a storm of interrupts that no wire can make.
    local m = orrery.machine { kernel = "orrery", cpus = orrery.args.cpus or 2, memory = "64M", engine = "timed", serial_timing = "real" }:boot()
    local place = placer(m)
    local happens, interrupts, holds, preemption = watcher()
    local current, disabled = m.sym("cpu", 0):offsetof("current"), m.sym("thread", 0):offsetof("preempt_disable")
    local function running(cpu) return word_at(m, cpu, m:register(cpu, "gs_base") + current, "<i8") end
    for _, site in ipairs(sites_of(m)) do
        local changes = kinds[site.kind]
        m:probe(site.address, function(cpu, cycle)
            local function held(thread) return word_at(m, cpu, (thread or running(cpu)) + disabled, "<I4") end
            local changed, detail = changes(m, cpu, m:register(cpu, "rflags") & IF ~= 0, held)
            if changed then happens(cpu, cycle, place(site, detail), running, held) end
        end)
    end
    local commands = {}
    for i, line in ipairs(loads) do commands[i] = m:command(line) end
    for _, command in ipairs(commands) do expect(command:wait().status, command.line):to_be(0) end
    m:ask("quiesce")
    return interrupts, holds, preemption
end

local function report(name, windows)
    orrery.note(windows.all:row())
    local rows = {}
    for key, row in pairs(windows.longest) do rows[#rows + 1] = { key = key, row = row } end
    table.sort(rows, function(a, b) return a.row.length > b.row.length or a.row.length == b.row.length and a.key < b.key end)
    for i = 1, math.min(shown, #rows) do
        local row = rows[i].row
        orrery.note(string.format("  %s %s cycles: %s to %s", orrery.grouped(row.length), name, row.from, row.to))
    end
end

it("no window with interrupts off, or without preemption, is longer than 10 us", function()
    local interrupts, holds, preemption = observe()
    for _, windows in ipairs { interrupts, holds, preemption } do
        local what = windows.all.name
        expect(windows.twice, "windows that began twice, " .. what):to_be(0)
        expect(windows.lost, "windows whose beginning was not seen, " .. what):to_be(0)
        expect(windows.void, "holds that an interrupt came before, " .. what):to_be_below(10)
    end
    report("with interrupts off", interrupts)
    report("without preemption", preemption)
    orrery.note(interrupts.allocators:row())
    orrery.note(interrupts.trees:row())
    orrery.note("goal of " .. orrery.grouped(GOAL) .. " cycles: " .. (interrupts.all:max() <= GOAL and "met" or "missed"))
    expect(interrupts.allocators:count(), "windows of the allocators"):to_be_at_least(least)
    expect(interrupts.trees:count(), "windows of trees"):to_be_at_least(least)
    expect(interrupts.allocators:max(), "longest of the allocators"):to_be_at_most(ALLOCATORS)
    expect(interrupts.trees:max(), "longest of trees"):to_be_at_most(TREES)
    expect(interrupts.all:max(), "longest with interrupts off"):to_be_at_most(CEILING)
    expect(preemption.all:max(), "longest without preemption"):to_be_at_most(CEILING)
end)
