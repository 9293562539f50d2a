-- Purpose: what translation caches hold, looked at from outside when the kernel says that it is gone: at the end of shootdowns
-- (400, then every 8th), and when a CPU has loaded an address space (300 times, then every 64th). Programs map, unmap, fork,
-- exec, share and end meanwhile; messages between CPUs are late, CPUs stand still.
-- Expects: no CPU has a page or a table that the page tables do not have, whatever it was doing when the flush began; and the look
-- finds a flush that is left out.
-- Options: --cpus N, --set seeds=N of the first test alone.
-- covers: VM-02 (X), VM-03 (X)
local cpus = orrery.args.cpus or 4

local PHYSMAP <const> = -0x800000000000 -- 0xffff800000000000
local IF <const>, CPU_STATE_ONLINE <const> = 1 << 9, 4 -- the second of arch/x86_64/percpu.h

-- Counts what is stale in a CPU's caches, among what `concerns` says, and keeps the first of it as a text.
local function look(m, seen, cpu, when, concerns)
    for _, entry in ipairs(m:stale(cpu)) do
        if concerns(entry) then
            seen.stale = seen.stale + 1
            seen.first = seen.first or string.format("CPU %d, %s: %s 0x%x at 0x%x", cpu, when, entry.table and "table" or "page",
                entry.physical, entry.linear)
        end
    end
end

local function of_user(entry) return entry.linear >= 0 end

-- The kernel's tables have no gate: others may be changing them, so only the pages of the flush are looked at.
local function of_gather(gather)
    local pages = {}
    for i = 0, gather.page_count - 1 do pages[gather.pages[i].number] = true end
    return function(entry) return pages[entry.linear] end
end

-- What a CPU is doing that is to flush.
local function doing(m, cpu, flushing)
    if m:register(cpu, "cpl") == 3 then return "user" end
    if flushing[cpu] then return "flushing" end
    if m:register(cpu, "rflags") & IF == 0 then return "off" end
    return m.sym.cpu_table[cpu].current.is_idle ~= 0 and "idle" or "kernel"
end

-- A change of an address space, from the first table entry to the end of its flush, holds the space's gate: when a flush has
-- ended, or nobody has the gate, nothing of the space may be stale on a CPU that has it loaded. CPUs that are to flush are stopped
-- every other time, and so is the one that asks them.
local function watch(m, stops)
    local seen = { flushes = 0, loads = 0, looks = 0, stale = 0, user = 0, flushing = 0, off = 0, idle = 0, kernel = 0 }
    local gathers, flushing = {}, {}
    local function is_target(gather, cpu)
        local here, space = m.sym.cpu_table[cpu], gather.space:value()
        return here:value() ~= 0 and (space == 0 and here.state == CPU_STATE_ONLINE or here.space:value() == space)
    end
    local function stop(cpu)
        if stops and math.random(2) == 1 then m:stall(cpu, m:register(cpu, "retired") + 1, orrery.us(math.random(20))) end
    end
    m:on_entry("shootdown_flush", function(cpu)
        local gather = m.sym("tlb_gather", m:register(cpu, "rdi"))
        gathers[m.kernel.current_thread(cpu)], flushing[cpu] = gather, true
        for other = 0, cpus - 1 do
            if other ~= cpu and is_target(gather, other) then
                local what = doing(m, other, flushing)
                seen[what] = seen[what] + 1
                stop(other)
            end
        end
        stop(cpu)
    end)
    m:on_return("shootdown_flush", function(cpu)
        local gather = gathers[m.kernel.current_thread(cpu)]
        local concerns = gather.space:value() ~= 0 and of_user or of_gather(gather)
        seen.flushes, flushing[cpu] = seen.flushes + 1, false
        if seen.flushes > 400 and seen.flushes % 8 ~= 0 then return end
        for other = 0, cpus - 1 do
            if is_target(gather, other) then
                seen.looks = seen.looks + 1
                look(m, seen, other, "after a flush by CPU " .. cpu, concerns)
            end
        end
    end)
    m:on_entry("switch_context", function(cpu)
        local space = m.sym.cpu_table[cpu].space
        if space:value() == 0 or space.gate ~= 0 then return end
        seen.loads = seen.loads + 1
        if seen.loads > 300 and seen.loads % 64 ~= 0 then return end
        look(m, seen, cpu, "after a load", of_user)
    end)
    return seen
end

local function booted(seed)
    return orrery.machine { kernel = "orrery", cpus = cpus, memory = "128M", memory_model = "sc", seed = seed }:boot()
end

local programs <const> = {
    "selftest map_and_unmap map_at_once copy_on_write_isolates protection_can_be_taken_away exec_replaces_the_program",
    "forkstorm --processes 60 --depth 3", "threadtest threads_start_and_are_joined",
    "ipctest regions_are_shared a_moved_region_is_gone_from_its_sender a_mapping_can_do_what_its_capability_can",
    "hotplug --cycles 6",
}

for seed = 1, orrery.args.seeds or 2 do
    it("nothing stale is left when a flush has ended or a space is loaded, seed " .. seed, function()
        local m = booted(seed)
        local seen = watch(m, true)
        for n = 0, 30 do
            if math.random(2) == 1 then m:delay_ipi(n * 3, orrery.us(math.random(50))) end
        end
        local commands = {}
        for i, line in ipairs(programs) do commands[i] = m:command(line) end
        for _, command in ipairs(commands) do expect(command:wait().status, command.line):to_be(0) end
        expect(m:command("threadtest"):wait().status):to_be(0)
        orrery.note(string.format("%d flushes, %d looks, %d loads; CPUs in programs %d, idle %d, in the kernel %d, with interrupts off %d, "
            .. "flushing themselves %d", seen.flushes, seen.looks, seen.loads, seen.user, seen.idle, seen.kernel, seen.off, seen.flushing))
        expect(seen.first or "none", "stale translations"):to_be("none")
        expect(seen.looks, "looks"):to_be_above(100)
        for _, what in ipairs { "user", "idle", "kernel", "off", "flushing" } do
            if cpus > 2 then expect(seen[what], "CPUs that were to flush: " .. what):to_be_above(0) end
        end
        expect(seen.loads, "loads"):to_be_above(100)
    end)
end

for _, line in ipairs(orrery.args.seeds and {} or { "selftest", "ipctest", "captest --forgeries 1000" }) do
    it("nothing stale is left in the course of " .. line, function()
        local m = booted(1)
        local seen = watch(m)
        expect(m:command(line):wait().status):to_be(0)
        expect(m:console(0):match("# disturbed[^\r\n]*"), "a test that was disturbed"):to_be(nil)
        orrery.note(string.format("%d flushes, %d looks, %d loads", seen.flushes, seen.looks, seen.loads))
        expect(seen.first or "none", "stale translations"):to_be("none")
        expect(seen.looks + seen.loads, "looks"):to_be_above(20)
    end)
end

-- What is left of mappings that were given up, when their capability goes on its way, and when a page of their region is mapped
-- by somebody else: entries of page tables, translations of any CPU.
local function watch_moves(m)
    local seen = { ends = 0, moves = 0, left = 0, sharing = 0 }
    local function found(...)
        seen.left = seen.left + 1
        seen.first = seen.first or string.format(...)
    end
    local function each(list, type, member, visit)
        local node = list.next
        while node:value() ~= list:address() do
            visit(m.sym(type, node:value() - m.sym(type, 0):offsetof(member)))
            node = node.next
        end
    end
    local function entry_of(space, address)
        local at = space.table.root.number
        for level = 3, 0, -1 do
            local index = address >> (12 + 9 * level) & 511
            local entry = string.unpack("<i8", assert(m:read(PHYSMAP + at + index * 8, 8, 0)))
            if entry & 1 == 0 then return nil end
            at = entry & 0x000ffffffffff000
        end
        return at
    end
    -- What there is of a mapping's frame in its spaces and in all CPUs.
    local function look_for(mapping, frame)
        each(mapping.backing.areas, "vm_area", "backing_link", function(area)
            for at = area.start, area["end"] - 1, 4096 do
                if entry_of(area.space, at) == frame then found("a page table has 0x%x at 0x%x", frame, at) end
            end
        end)
        for cpu = 0, cpus - 1 do
            for _, entry in ipairs(m:stale(cpu)) do
                if not entry.table and entry.physical == frame then found("CPU %d has 0x%x at 0x%x", cpu, frame, entry.linear) end
            end
        end
    end
    local ending = {}
    m:on_entry("vm_backing_drain", function(cpu)
        local mapping = m.sym("mapping", m:register(cpu, "rdi"))
        ending[m.kernel.current_thread(cpu)] = mapping
        each(mapping.backing.areas, "vm_area", "backing_link", function(area)
            for other = 0, cpus - 1 do
                if m.sym.cpu_table[other].space:value() == area.space:value() then seen.sharing = seen.sharing + 1 end
            end
        end)
    end)
    m:on_return("vm_backing_drain", function(cpu) -- the capability is not on its way yet
        local mapping = ending[m.kernel.current_thread(cpu)]
        seen.ends = seen.ends + 1
        look_for(mapping, mapping.region.frames[0] * 4096)
    end)
    m:on_entry("vm_backing_page_in", function(cpu)
        local area, address = m.sym("vm_area", m:register(cpu, "rsi")), m:register(cpu, "rdx")
        local own = m.sym("mapping", area.backing:value())
        if own.gone ~= 0 or own.region.frames:value() == 0 then return end
        local frame, given_up = own.region.frames[area.physical + (address - area.start) // 4096] * 4096, false
        each(own.region.mappings, "mapping", "node", function(mapping)
            if mapping.gone == 0 then return end
            given_up = true
            look_for(mapping, frame)
        end)
        if given_up then seen.moves = seen.moves + 1 end
    end)
    return seen
end

local MOVES <const> = "ipctest a_moved_page_has_no_writer_left"

-- covers: VM-16
for seed = 1, orrery.args.seeds and 0 or 2 do
    it("nobody has the page of a sender when its receiver maps it, seed " .. seed, function()
        local m = booted(seed)
        local seen = watch_moves(m)
        m:on_entry("vm_backing_drain", function()
            for cpu = 0, cpus - 1 do
                if math.random(2) == 1 then m:stall(cpu, m:register(cpu, "retired") + 1, orrery.us(math.random(20))) end
                m:delay_ipi(cpu, orrery.us(math.random(50)))
            end
        end)
        expect(m:command(MOVES):wait().status):to_be(0)
        expect(seen.first or "none", "what is left"):to_be("none")
        expect(math.min(seen.ends, seen.moves), "moves"):to_be_at_least(3)
        expect(seen.sharing, "CPUs that had the sender's page"):to_be_above(3)
    end)
end

for _, broken in ipairs(orrery.args.seeds and {} or { "vm_pages_out", "arch_tlb_gather_flush" }) do
    it("a mapping that a sender keeps without " .. broken .. " is found", function()
        local m, draining = booted(1), 0
        local seen = watch_moves(m)
        m:on_entry("vm_backing_drain", function() draining = draining + 1 end)
        m:on_return("vm_backing_drain", function() draining = draining - 1 end)
        m:fail_call(broken, 0, { always = true, when = function() return draining > 0 end })
        m:command(MOVES)
        m:wait_for { when = function() return seen.moves > 0 end }
        expect(seen.left, "what is left"):to_be_above(0)
        orrery.note(seen.first)
    end)
end

it("a flush that another CPU does not make is found", function()
    local m = booted(1)
    local seen, skipped = watch(m), 0
    m:fail_call("arch_tlb_gather_flush", 0, { always = true, when = function(cpu)
        local served = m.sym("tlb_gather", m:register(cpu, "rsi")).space:value() ~= 0 and skipped < 20
        skipped = skipped + (served and 1 or 0)
        return served
    end })
    m:command("selftest map_and_unmap protection_can_be_taken_away")
    m:run(orrery.ms(20))
    expect(skipped, "flushes left out"):to_be_above(0)
    expect(seen.stale, "stale translations"):to_be_above(0)
    orrery.note(seen.first)
end)
