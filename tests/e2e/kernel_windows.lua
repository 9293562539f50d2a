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
local PROBES <const> = 240 -- of the 256 that a machine has
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
-- Each returns whether it changes something, and what else names the place.
local function stacked(m, cpu, word) return (string.unpack("<I8", m:read(m:register(cpu, "rsp") + 8 * word, 8, cpu))) end

local kinds = {
    cli = function(_, _, enabled) return enabled end,
    sti = function(_, _, enabled) return not enabled end,
    syscall = function() return true end,
    interrupt = function(m, cpu) return stacked(m, cpu, 4) & IF ~= 0, stacked(m, cpu, 0) end,
    iretq = function(m, cpu) return stacked(m, cpu, 2) & IF ~= 0 end,
    sysretq = function() return true end,
    hold = function(m, cpu, _, holds) return holds() == 0, stacked(m, cpu, 0) end,
    free = function(m, cpu, _, holds) return holds() == 1, stacked(m, cpu, 0) end,
}
local ENDS <const> = { sti = 1, iretq = 1, sysretq = 1, free = 1, cli = 0, syscall = 0, interrupt = 0, hold = 0 }

-- A CLI (FA) or STI (FB) in the code of the functions that are one, wherever the compiler put it. A byte that only looks like
-- one is never executed.
local function sites_of(m)
    local sites, known = {}, {}
    local function add(kind, address)
        if not known[address] then sites[#sites + 1] = { kind = kind, address = address } end
        known[address] = true
    end
    local function scan(first, last)
        for at, byte in m:read(first, last - first + 1):gmatch("()([\xfa\xfb])") do
            add(byte == "\xfa" and "cli" or "sti", first + at - 1)
        end
    end
    for _, name in ipairs { "arch_irq_save", "arch_irq_restore", "arch_irq_enable", "arch_irq_disable" } do
        for _, range in ipairs(m:inlined(name)) do scan(range.first, range.last) end
    end
    for _, name in ipairs { "arch_idle_wait", "thread_first" } do
        local first = m:symbol(name)
        scan(first, first + 31)
    end
    for kind, symbol in pairs { syscall = "syscall_entry", interrupt = "trap_common", iretq = "trap_iret" } do
        add(kind, (assert(m:symbol(symbol), symbol)))
    end
    for _, symbol in ipairs { "syscall_return", "message_resume" } do
        local leave = assert(m:symbol(symbol), symbol)
        add("sysretq", leave + assert(m:read(leave, 128):find("\x48\x0f\x07", 1, true), "SYSRETQ of " .. symbol) - 1)
    end
    for kind, symbol in pairs { hold = "preempt_disable", free = "preempt_enable" } do
        add(kind, (m:symbol(symbol)))
        for _, range in ipairs(m:inlined(symbol)) do add(kind, range.first) end
    end
    for _, symbol in ipairs { "sched_block", "sched_handoff", "sched_exit" } do add("free", (m:symbol(symbol))) end
    return sites
end

-- ---- events ----

-- A place by its number, and its number: of a site, or of one and who called it or what came.
local function numberer()
    local places, numbers = {}, {}
    return places, function(site, detail)
        local key = site.address .. ":" .. (detail or "")
        if not numbers[key] then
            places[#places + 1] = { kind = site.kind, address = site.address, detail = detail }
            numbers[key] = #places
        end
        return numbers[key]
    end
end

-- Runs the loads with probes at some of the sites; events[cpu] gets cycle << 12 | number of the place << 1 | 1 when
-- something ends. Returns the machine and how many sites there are.
local function observe(first, number, events)
    -- The ports take their time: at once, the text of a command is a storm of interrupts that no wire can make.
    local m = orrery.machine { kernel = "orrery", cpus = orrery.args.cpus or 2, memory = "64M", engine = "timed", serial_timing = "real" }:boot()
    local sites = sites_of(m)
    local function holds(cpu) return m.sym("cpu", m:register(cpu, "gs_base")).current.preempt_disable end
    for i = first, math.min(first + PROBES - 1, #sites) do
        local site = sites[i]
        local changes, ends = kinds[site.kind], ENDS[site.kind]
        m:probe(site.address, function(cpu, cycle)
            local changed, detail = changes(m, cpu, m:register(cpu, "rflags") & IF ~= 0, function() return holds(cpu) end)
            if changed then table.insert(events[cpu], cycle << 12 | number(site, detail) << 1 | ends) end
        end)
    end
    local commands = {}
    for i, line in ipairs(loads) do commands[i] = m:command(line) end
    for _, command in ipairs(commands) do expect(command:wait().status, command.line):to_be(0) end
    m:ask("quiesce")
    return m, #sites
end

-- ---- windows ----

local function place_name(m, place)
    local where = place.address
    if place.kind == "interrupt" then return "interrupt " .. place.detail end
    if place.detail and m:describe(place.detail):find("+", 1, true) then where = place.detail end -- who called it
    return (m:describe(where):gsub("%+0x.*", ""))
end

-- The functions of os/kernel/mm/{frame*,zone,slab,kheap}.c.
local allocators <const> = { "^frame_", "^zone_", "^slab_", "^kheap_", "^give_back$", "^refill", "^obey_drain$", "^shed_empty$",
    "^take_fresh$", "^take_slow$", "^free_slow$", "^claim_arena$", "^add_arena$", "^free_arenas$", "^reserve_one$", "^unreserve_one$" }

-- Which group's bound a window keeps that begins there, beside that of all.
local function group_of(m, place)
    if place.kind ~= "cli" then return nil end
    local name = m:describe(place.address):match("^[%w_]+")
    if name == "cap_tree_lock" then return "trees" end
    for _, pattern in ipairs(allocators) do
        if name:find(pattern) then return "allocators" end
    end
end

local function add_window(windows, length, from, to)
    windows.all:add(length)
    local group = windows.group_of[from]
    if group then windows[group]:add(length) end
    local key = from .. ":" .. to
    if length > (windows.longest[key] or 0) then windows.longest[key] = length end
end

-- Goes through one CPU's events; a window whose beginning nobody saw does not count.
local function windows_of(list, places, interrupts, preemption)
    table.sort(list)
    local off, stuck, holding, wrong = nil, nil, false, 0
    for _, event in ipairs(list) do
        local cycle, number, open = event >> 12, event >> 1 & 2047, event & 1 == 1
        local kind = places[number].kind
        if kind == "hold" or kind == "free" then
            holding = not open
        elseif not open then
            wrong = wrong + (off and 1 or 0)
            off = { cycle, number }
        else
            if off then add_window(interrupts, cycle - off[1], off[2], number) end
            off = nil
        end
        if off or holding then
            stuck = stuck or { cycle, number }
        elseif stuck then
            add_window(preemption, cycle - stuck[1], stuck[2], number)
            stuck = nil
        end
    end
    return wrong
end

local function report(m, name, windows, places)
    orrery.note(windows.all:row())
    local keys = {}
    for key in pairs(windows.longest) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return windows.longest[a] > windows.longest[b] or windows.longest[a] == windows.longest[b] and a < b end)
    for i = 1, math.min(shown, #keys) do
        local from, to = keys[i]:match("(%d+):(%d+)")
        orrery.note(string.format("  %s %s cycles: %s to %s", orrery.grouped(windows.longest[keys[i]]), name,
            place_name(m, places[math.tointeger(tonumber(from))]), place_name(m, places[math.tointeger(tonumber(to))])))
    end
end

it("no window with interrupts off, or without preemption, is longer than 10 us", function()
    local places, number = numberer()
    local events = setmetatable({}, { __index = function(of, cpu) of[cpu] = {} return of[cpu] end })
    local first, total, ended, m = 1, 1, nil, nil
    while first <= total do -- the same run again and again, each time looked at in other places
        m, total = observe(first, number, events)
        expect(m:cycles(), "cycles of every run"):to_be(ended or m:cycles())
        ended, first = m:cycles(), first + PROBES
    end
    local groups = {}
    for i, place in ipairs(places) do groups[i] = group_of(m, place) end
    local interrupts = { all = orrery.histogram("interrupts-off"), allocators = orrery.histogram("allocators"),
        trees = orrery.histogram("trees"), group_of = groups, longest = {} }
    local preemption = { all = orrery.histogram("preemption-off"), group_of = {}, longest = {} }
    for cpu, list in pairs(events) do
        expect(windows_of(list, places, interrupts, preemption), "windows that began twice, CPU " .. cpu):to_be(0)
    end
    report(m, "with interrupts off", interrupts, places)
    report(m, "without preemption", preemption, places)
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
