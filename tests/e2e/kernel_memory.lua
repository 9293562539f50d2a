-- Purpose: the memory of the kernel on the running machine: what every allocation takes, what processes are charged for, what
-- shared pages count, maps that fail at each allocation, and processes that want more than there is.
-- Expects: frames of the own node; accounts equal to walks of the page tables; nothing left behind; only the hog ends.
-- covers: MM-04 (S), MM-12, MM-14, MM-18, MM-21, VM-15, VM-18, VM-19 (X), HP-07 (X: a handler that switches threads), HP-20, HP-22
-- covers: TS-03, TS-04 (pages that move between nodes, out of memory)

local interrupts = require "interrupts"
local handoff = require "kernels.handoff"
local PRESENT <const>, ACCESSED <const>, DIRTY <const>, ADDRESS <const>, PHYSMAP <const> = 1, 32, 64, 0x000ffffffffff000, -0x800000000000

-- A machine that has not run; with --set way=handoff it enters the kernel with a block of the scenario's (docs/boot.md).
local function machine(options)
    options.kernel, options.memory_model = "orrery", "sc" -- what a CPU has stored is there to be read from outside
    local m = orrery.machine(options)
    if orrery.args.way == "handoff" then handoff.loader(m):split(options.numa or 1):enter() end
    return m
end

local function booted(options)
    local m = machine(options):boot()
    m:ask("quiesce")
    return m
end

-- Calls leaf(frame number, entry, address) for each user page of a root table; returns how many tables there are in the user half.
local function walk(m, root, leaf)
    local tables = 1
    local function table_at(physical, level, slots, base)
        local bytes = assert(m:read(PHYSMAP + physical, 4096, 0))
        for slot = 0, slots - 1 do
            local entry, address = string.unpack("<i8", bytes, slot * 8 + 1), base + (slot << 3 + 9 * level)
            if entry & PRESENT ~= 0 and level == 1 then
                leaf((entry & ADDRESS) >> 12, entry, address)
            elseif entry & PRESENT ~= 0 then
                tables = tables + 1
                table_at(entry & ADDRESS, level - 1, 512, address)
            end
        end
    end
    table_at(root, 4, 256, 0)
    return tables
end

-- An address space as a text: its figures, its areas and every entry of its tables, but for what the machine itself sets there.
local function space_text(m, space)
    local text = { string.format("%d %d %d %d", space.stats.resident_pages, space.table.tables, space.stats.area_bytes, space.area_count) }
    local at, offset = space.areas.next:value(), m.sym("vm_area", 0):offsetof("link")
    while at ~= space.areas:address() do
        local area = m.sym("vm_area", at - offset)
        text[#text + 1] = string.format("%x-%x %d %d", area.start, area["end"], area.protection, area.kind)
        at = area.link.next:value()
    end
    local tables = walk(m, space.table.root.number, function(_, entry, address)
        text[#text + 1] = string.format("%x: %x", address, entry & ~(ACCESSED | DIRTY))
    end)
    return table.concat(text, "\n") .. "\ntables " .. tables
end

-- Follows the processes: a set of their addresses.
local function living(m)
    local processes = {}
    m:on_entry("process_link_locked", function(cpu) processes[m:register(cpu, "rdi")] = true end)
    m:on_entry("process_set_state", function(cpu)
        if m:register(cpu, "rsi") & 0xffffffff == m.sym.PROCESS_EXITING then processes[m:register(cpu, "rdi")] = nil end
    end)
    return processes
end

describe("memory", function()
    it("every frame comes from the node of the CPU that asks", function()
        local m = booted { cpus = 4, numa = 2, memory = "256M" }
        local half, count, wrong = 128 << 20, {}, 0
        for cpu = 0, 3 do count[cpu] = 0 end
        local asked = {} -- by thread: where the frame's number goes, and the node of the CPU
        m:on_entry("frame_alloc", function(cpu)
            local here = m.sym("cpu", m:register(cpu, "gs_base"))
            asked[here.current:value()] = { m:register(cpu, "rcx"), here.node }
        end)
        m:on_return("frame_alloc", function(cpu, _, rax)
            local out, node = table.unpack(asked[m.kernel.current_thread(cpu)])
            if rax & 0xffffffff ~= 0 then return end
            count[cpu] = count[cpu] + 1
            local frame = string.unpack("<i8", assert(m:read(out, 8, cpu)))
            if (frame << 12 >= half and 1 or 0) ~= node then wrong = wrong + 1 end
        end)
        expect(m:command("forkstorm --processes 60 --depth 3"):wait().status):to_be(0)
        local hogs = {}
        for i = 1, 4 do hogs[i] = m:command("memhog 42") end
        for i = 1, 4 do expect(hogs[i]:wait().status):to_be(0) end
        for cpu = 0, 3 do expect(count[cpu], "frames of CPU " .. cpu):to_be_at_least(10000) end
        expect(wrong, "frames of the other node"):to_be(0)
    end)

    it("strict requests fail rather than leave their node", function()
        local m = booted { cpus = 2, numa = 2, memory = "64M" }
        local strict <const>, user = 4, m.sym.FRAME_OWNER_USER
        m:on_entry("frame_alloc", function(cpu)
            if m:register(cpu, "rsi") & 0xffffffff == user then m:set_register(cpu, "rdi", m:register(cpu, "rdi") | strict) end
        end)
        m:command("memhog"):wait { within = orrery.seconds(5) }
        expect(m:console(0)):to_contain("memhog: killed by page fault, no memory on the demanded node")
    end)

    it("a process is charged for what its page tables hold, and shared pages count who shares them", function()
        local m = machine { cpus = 1, memory = "64M" }
        local processes, checks, wrong, shared = living(m), 0, {}, 0
        m:boot()
        local function check()
            local refs = {}
            for process in pairs(processes) do
                local p = m.sym("process", process)
                if p.space:value() ~= 0 then
                    if p.space.gate ~= 0 then return end -- in the middle of a change
                    local leaves = 0
                    local tables = walk(m, p.space.table.root.number, function(frame)
                        leaves = leaves + 1
                        refs[frame] = (refs[frame] or 0) + 1
                    end)
                    if leaves ~= p.space.stats.resident_pages or tables ~= p.space.table.tables then
                        wrong[#wrong + 1] = string.format("process %d: %d leaves, %d charged, %d tables, %d charged", p.pid.number,
                            leaves, p.space.stats.resident_pages, tables, p.space.table.tables)
                    end
                end
            end
            for frame, count in pairs(refs) do
                shared = shared + (count > 1 and 1 or 0)
                if m.sym.frame_table[frame].refs ~= count then
                    wrong[#wrong + 1] = string.format("frame %d: %d references, %d pages", frame, m.sym.frame_table[frame].refs, count)
                end
            end
            checks = checks + 1
        end
        m:on_entry("process_exit", check)
        m:on_return("process_fork", check)
        expect(m:command("selftest copy_on_write_isolates exec_replaces_the_program map_and_unmap"):wait().status):to_be(0)
        expect(m:command("forkstorm --processes 12 --depth 3"):wait().status):to_be(0)
        expect(checks, "checks"):to_be_at_least(20)
        expect(shared, "shared pages seen"):to_be_at_least(100)
        expect(wrong[1] or "none", "wrong accounts"):to_be("none")
        m:ask("quiesce")
        local left, page, tables, alive = 0, m.sym.FRAME_OWNER_USER, m.sym.FRAME_OWNER_PAGE_TABLE, {}
        for _, task in ipairs(m.kernel.tasks()) do alive[task.pid] = true end
        for frame = 0, m.sym.frame_manager.limit - 1 do
            local f = m.sym.frame_table[frame]
            if f.state == m.sym.FRAME_ALLOCATED and (f.owner == page or f.owner == tables) and not alive[f.owner_id] then left = left + 1 end
        end
        expect(left, "frames of the dead"):to_be(0)
    end)

    -- covers: MM-23
    it("messages, capabilities and processes have their frames from the manager, under their names", function()
        local m = booted { cpus = 1, memory = "16M" }
        local owners = { IPC = 0, MESSAGE = 0, CAP = 0, PROC = 0 }
        local function count()
            local found = {}
            for name in pairs(owners) do found[name] = 0 end
            for frame = 0, m.sym.frame_manager.limit - 1 do
                local f = m.sym.frame_table[frame]
                for name in pairs(owners) do
                    if f.state == m.sym.FRAME_ALLOCATED and f.owner == m.sym["FRAME_OWNER_" .. name] then found[name] = found[name] + 1 end
                end
            end
            return found
        end
        local idle, loading, mapping, channel = count(), nil, nil, nil
        m:on_entry("program_load", function() loading = loading or count() end)
        m:on_entry("region_map", function() mapping = mapping or count() end)
        m:on_return("channel_create", function() channel = channel or count() end)
        expect(m:command("ipctest regions_are_shared channels_fill_and_empty"):wait().status):to_be(0)
        m:ask("quiesce")
        expect(idle.CAP, "capabilities of those that run"):to_be_above(0)
        expect(idle.IPC, "pages of regions of those that run"):to_be(0)
        expect(idle.MESSAGE, "messages of channels of those that run"):to_be(0)
        expect(idle.PROC, "programs that are made"):to_be(0)
        expect(loading.PROC, "strings of a program that is made"):to_be(8)
        expect(mapping.IPC, "pages of a region"):to_be_above(0)
        expect(channel.MESSAGE, "messages of a channel"):to_be_above(0)
        expect(mapping.CAP, "capabilities of one program more"):to_be_above(idle.CAP)
        for name, frames in pairs(count()) do expect(frames, name):to_be(idle[name]) end
    end)

    it("the last writer takes a shared page without a copy", function()
        local m = booted { cpus = 1, memory = "64M" }
        local copies, takes = 0, 0
        m:on_entry("process_exit", function(cpu)
            local p = m.kernel.current_process(cpu)
            copies, takes = copies + p.space.stats.cow_copies, takes + p.space.stats.cow_takes
        end)
        expect(m:command("selftest copy_on_write_isolates"):wait().status):to_be(0)
        expect(copies, "copies"):to_be_at_least(9) -- eight pages and the word
        expect(takes, "pages taken"):to_be_at_least(1)
    end)

    it("a map that fails at any allocation changes nothing", function()
        local m = booted { cpus = 1, memory = "64M" }
        local none, calls, fails_from, before, wrong, inside = m.sym.STATUS_ERR_NO_MEMORY, 0, 0, nil, 0, false
        local compared = 0
        local function account(cpu) return space_text(m, m.kernel.current_process(cpu).space) end
        m:on_entry("vm_map", function(cpu) before = account(cpu) end)
        m:on_entry("vm_populate", function() inside, calls = true, 0 end)
        m:on_return("vm_populate", function() inside = false end)
        m:on_return("invoke_map", function(cpu, _, rax)
            if rax >= 0 then return end
            compared = compared + 1
            if account(cpu) ~= before then wrong = wrong + 1 end
        end)
        local batches = 0 -- 0: frames come one by one; else several at once, until that fails
        local function fails()
            calls = calls + (inside and 1 or 0)
            return inside and calls > fails_from
        end
        m:fail_call("frame_alloc", none, { always = true, when = fails })
        m:fail_call("frame_alloc_some", 0, { always = true, when = function()
            if batches == 0 then return inside end
            return fails()
        end }) -- how many
        local function failures()
            local count = 0
            fails_from = 0
            while m:command("selftest map_at_once"):wait().status ~= 0 do
                count, fails_from = count + 1, fails_from + 1
                expect(count):to_be_at_most(60)
            end
            return count
        end
        expect(failures(), "maps that failed, frame by frame"):to_be_at_least(40)
        batches = 1
        expect(failures(), "maps that failed, several frames at once"):to_be_at_least(2)
        expect(wrong, "maps that left something"):to_be(0)
        expect(compared, "address spaces compared"):to_be_at_least(42)
        expect(before:match("%x+%-%x+ .*\n%x+: %x+.*\ntables %d+") and "both" or before, "areas and pages in a comparison"):to_be("both")
    end)

    -- Free frames of each node: in its zones, and in the caches of its CPUs.
    local function free_by_node(m)
        local manager, free = m.sym.frame_manager, {}
        for node = 0, manager.node_count - 1 do
            local zones = manager.nodes[node].zones
            free[node] = 0
            for zone = 0, #zones - 1 do free[node] = free[node] + zones[zone].free_frames end
        end
        for cpu = 0, manager.cpu_count - 1 do
            local cache = manager.cpus[cpu]
            free[cache.node] = free[cache.node] + cache.count + cache.zeroed_count
        end
        return free
    end

    -- The pages of a space: entry, frame and node of each; of those in a range the bytes from 512 on, that none changes.
    local function pages_of(m, space, from, to)
        local pages = {}
        walk(m, space.table.root.number, function(frame, entry, address)
            local page = { entry = entry & ~(ADDRESS | ACCESSED | DIRTY), frame = frame }
            page.node = m.sym.frame_table[frame].node
            page.inside = address >= from and address < to
            if page.inside then page.bytes = assert(m:read(PHYSMAP + (frame << 12) + 512, 4096 - 512, 0)) end
            pages[address] = page
        end)
        return pages
    end

    -- Follows each move: what it did to entries, contents, frames and figures, and what any CPU's caches hold at its end.
    -- `sharing`: CPUs besides the mover's that had the space loaded then.
    local function watch_moves(m, cpus)
        local seen, moves = { moves = 0, pages = 0, sharing = 0, stale = 0, wrong = {} }, {}
        local function same(what, is, want)
            if is ~= want then seen.wrong[#seen.wrong + 1] = string.format("%s: %s, not %s", what, is, want) end
        end
        local function state(space, move)
            return { pages = pages_of(m, space, move.from, move.to), free = free_by_node(m),
                migrated = space.stats.migrated_pages, resident = space.stats.resident_pages, tables = space.table.tables }
        end
        m:on_entry("vm_migrate", function(cpu)
            local from = m:register(cpu, "rsi")
            local at = m:register(cpu, "rdi")
            local move = { space = m.sym("address_space", at), at = at, from = from, to = from + m:register(cpu, "rdx"),
                node = m:register(cpu, "rcx") & 0xff, out = m:register(cpu, "r8"), cpu = cpu }
            move.before = state(move.space, move)
            moves[m.kernel.current_thread(cpu)], seen.moving = move, cpu
        end)
        local function judge_page(address, old, new, move)
            local what = string.format("0x%x", address)
            if new == nil then return same(what, "gone", "there") end
            same(what .. " entry", new.entry, old.entry)
            same(what .. " node", new.node, old.inside and move.node or old.node)
            same(what .. " stays", new.frame == old.frame, not old.inside or old.node == move.node)
            same(what .. " contents", new.bytes == old.bytes, true)
            local frame = m.sym.frame_table[new.frame]
            if not old.inside then return end
            same(what .. " references, owner", frame.refs .. " " .. frame.owner_id, "1 " .. move.space.pid.number)
        end
        m:on_return("vm_migrate", function(cpu, _, rax)
            local move = moves[m.kernel.current_thread(cpu)]
            seen.moving = nil
            if rax & 0xffffffff ~= 0 or move.to - move.from < 20 * 4096 then return end
            local before, after, moved = move.before, state(move.space, move), 0
            for address, old in pairs(before.pages) do
                moved = moved + (old.inside and old.node ~= move.node and 1 or 0)
                judge_page(address, old, after.pages[address], move)
            end
            for address in pairs(after.pages) do
                same(string.format("0x%x is new", address), before.pages[address] == nil, false)
            end
            same("pages that have moved", string.unpack("<i8", assert(m:read(move.out, 8, cpu))), moved)
            same("moved pages of the space", after.migrated - before.migrated, moved)
            same("pages of the space", after.resident .. " " .. after.tables, before.resident .. " " .. before.tables)
            for node, free in pairs(after.free) do
                same("free frames of node " .. node, free - before.free[node], node == move.node and -moved or moved)
            end
            for other = 0, cpus - 1 do
                if other ~= cpu and m.sym.cpu_table[other].space:value() == move.at then seen.sharing = seen.sharing + 1 end
                for _, entry in ipairs(m:stale(other)) do
                    if entry.linear >= 0 then
                        seen.stale = seen.stale + 1
                        seen.first = seen.first or string.format("CPU %d: 0x%x at 0x%x", other, entry.physical, entry.linear)
                    end
                end
            end
            seen.moves, seen.pages = seen.moves + (moved > 0 and 1 or 0), seen.pages + moved
        end)
        return seen
    end

    local BELOW_THREADS <const> = "threadtest pages_move_while_threads_write_them"
    for _, row in ipairs { { "selftest pages_move_to_another_node", 2, 0 }, { BELOW_THREADS, 4, 3 } } do
        local line, cpus, sharing = table.unpack(row)
        it("pages move to another node in " .. line, function()
            local m = booted { cpus = cpus, numa = 2, memory = "128M" }
            local seen = watch_moves(m, cpus)
            expect(m:command(line):wait().status):to_be(0)
            orrery.note(string.format("%d moves of %d pages; %d CPUs besides had the space", seen.moves, seen.pages,
                seen.sharing))
            expect(seen.moves, "moves"):to_be_at_least(3)
            expect(seen.pages, "pages that moved"):to_be(20 * seen.moves)
            expect(seen.wrong[1] or "none", "differences"):to_be("none")
            expect(seen.first or "none", "stale translations"):to_be("none")
            expect(seen.sharing, "CPUs besides"):to_be_at_least(sharing)
        end)
    end

    it("a move that another CPU does not flush is found", function()
        local m = booted { cpus = 4, numa = 2, memory = "128M" }
        local seen, skipped = watch_moves(m, 4), 0
        m:fail_call("arch_tlb_gather_flush", 0, { always = true, when = function(cpu)
            local served = seen.moving and cpu ~= seen.moving
            skipped = skipped + (served and 1 or 0)
            return served
        end })
        m:command(BELOW_THREADS)
        m:wait_for { when = function() return seen.moves > 0 end }
        expect(skipped, "flushes left out"):to_be_above(0)
        expect(seen.stale, "stale translations"):to_be_above(0)
        orrery.note(seen.first)
    end)

    it("the dump and the statistics tell what the kernel's structures hold", function()
        local m = booted { cpus = 2, memory = "64M" }
        m:command("forkstorm --processes 20"):wait()
        m:ask("quiesce")
        expect(m:ask("memory")):to_be("dumped")
        local text, free = m:console(0), m.kernel.frames.free
        expect(tonumber(text:match("frames: total %d+ free (%d+)"))):to_be(free)
        local zones, cached, live = 0, 0, 0
        for n in text:gmatch("node %d+ zone %a+: managed %d+ free (%d+)") do zones = zones + n end
        for n in text:gmatch("cpu %d+ node %d+: cached (%d+)") do cached = cached + n end
        for n in text:gmatch("cache [%w-]+: size %d+ slabs %d+ live (%d+)") do live = live + n end
        expect(zones + cached, "free frames of zones and caches"):to_be(free)
        local stats = m:ask("stats", { until_line = "end" })
        expect(tonumber(stats:match("heap%-objects (%d+)")), "objects"):to_be(live)
        expect(tonumber(text:match("heap: [^\n\r]- live (%d+)"))):to_be(live)
        expect(tonumber(stats:match("heap%-bytes (%d+)"))):to_be(tonumber(text:match("slabs (%d+) bytes")))
    end)

    it("an interrupt at every instruction of the allocators is survived", function()
        local m = booted { cpus = 2, memory = "64M" }
        local before, watch = m.kernel.frames.free, interrupts.watch(m)
        for _, name in ipairs { "slab_alloc_sized", "slab_free_site", "frame_cpu_take", "frame_cpu_give", "frame_alloc" } do
            interrupts.inside(m, watch, name, { m.sym.VECTOR_TIMER })
            expect(m:command("forkstorm --processes 12 --depth 2"):wait().status):to_be(0)
            interrupts.stop(m, watch)
            interrupts.judge(watch, 20, 2000)
        end
        m:ask("quiesce")
        expect(m.kernel.frames.free, "free frames"):to_be(before)
    end)

    it("a hog is ended and the others finish", function()
        local m = booted { cpus = 2, memory = "64M" }
        local before = m.kernel.frames.free
        local hog = m:command("memhog")
        local a, b, c = m:command("forkstorm --processes 40"), m:command("memhog 4"), m:command("selftest map_and_unmap")
        expect(a:wait().status + b:wait().status + c:wait().status):to_be(0)
        expect(hog:wait().status):to_be(512) -- STATUS_KILLED_NO_MEMORY
        m:ask("quiesce")
        expect(m.kernel.frames.free, "free frames"):to_be(before)
    end)

    -- The cause of a fault is what the call says. covers: ER-01 (S)
    it("a copy that no memory is left for says so, and the call is not repeated", function()
        local m = booted { cpus = 2, memory = "64M" }
        local before = m.kernel.frames.free
        local failed = 0
        m:on_return("user_write", function(_, _, rax)
            if rax & 0xffffffff == m.sym.STATUS_ERR_NO_MEMORY & 0xffffffff then failed = failed + 1 end
        end)
        -- whoever asks then is told that there is memory again: the call would be repeated
        local told = false
        m:on_return("reaper_reclaim", function(c)
            if failed == 1 and not told then
                told = true
                m:set_register(c, "rax", 1)
            end
        end)
        expect(m:command("memhog copies"):wait { within = orrery.seconds(5) }.status):to_be(0)
        expect(m:console(0)):to_contain("memhog: a copy says no memory")
        expect(failed, "copies without memory"):to_be(1)
        m:ask("quiesce")
        expect(m.kernel.frames.free, "free frames"):to_be(before)
    end)

    it("a hog that sleeps is ended by who needs its memory", function()
        local m = booted { cpus = 2, memory = "64M" }
        local before = m.kernel.frames.free
        local hog = m:command("memhog 40 1000")
        m:run(orrery.ms(100))
        expect(m:command("memhog 30"):wait { within = orrery.seconds(2) }.status):to_be(0)
        expect(hog:wait { within = orrery.seconds(2) }.status):to_be(512)
        expect(m:console(0)):to_contain("memhog: ended, memory is out and it holds most of it")
        m:ask("quiesce")
        expect(m.kernel.frames.free, "free frames"):to_be(before)
    end)
end)
