-- Purpose: copies between the kernel and programs that meet a page that is not there, at each byte: whenever a program that
-- makes random calls has one made, its own side is moved to the end of a page behind which there is nothing.
-- Copies and texts of the scenario's own (tests/e2e/borrow.lua): of each length up to 72 and some more, with the hole after
-- each number of bytes, at each alignment; and with another CPU that takes the page away meanwhile, after each number of bytes.
-- Expects: the kernel never faults; exactly what lies before the end is copied, to the word where whole words are, and no
-- byte around it changes; addresses of the kernel and those that wrap around are refused before anything is touched, and
-- every frame is back.
-- covers: VM-12 (X)
local borrow = require "borrow"

local PAGE <const>, USER_END <const> = 4096, 0x7ffffffff000
local PHYSMAP <const> = borrow.PHYSMAP

local function in_program(address) return address > 0 and address < USER_END end

-- The end of the mapped pages from an address on; nil when it is far away.
local function end_of_pages(m, cpu, address)
    local at = address // PAGE * PAGE
    for _ = 1, 64 do
        if not m:read(at, 1, cpu) then return at > address and at or nil end
        at = at + PAGE
    end
end

-- Is it a child of hostile that has a copy made? The parent is left alone.
local function is_child(m, cpu, parent)
    local process = m.kernel.current_process(cpu)
    return parent and process:value() ~= 0 and process.name:string() == "hostile" and process.pid.number ~= parent
end

-- Moves the copies of hostile's children to where they meet a hole after k bytes, k = 0, 1, 2 ... for each size.
local function holes(m)
    local seen = { faults = 0, served = 0, sizes = 0, wrong = {}, places = {}, count = 0 }
    local next_byte, moved = {}, {}
    m:on_entry("user_copy_raw", function(cpu)
        moved[m.kernel.current_thread(cpu)] = nil
        if not is_child(m, cpu, seen.parent) then return end
        local to, from, size = m:register(cpu, "rdi"), m:register(cpu, "rsi"), m:register(cpu, "rdx")
        local writes = in_program(to)
        local hole = size > 0 and end_of_pages(m, cpu, writes and to or from)
        if not hole then return end
        if not next_byte[size] then seen.sizes = seen.sizes + 1 end
        local before = next_byte[size] or 0
        next_byte[size] = (before + 1) % (size + 1)
        if before > PAGE then return end
        m:set_register(cpu, writes and "rdi" or "rsi", hole - before)
        moved[m.kernel.current_thread(cpu)] = { size = size, before = before, hole = hole, writes = writes }
    end)
    m:on_return("user_copy_raw", function(cpu, _, left)
        local copy = moved[m.kernel.current_thread(cpu)]
        if not copy then return end
        moved[m.kernel.current_thread(cpu)] = nil
        local behind = copy.size - copy.before
        local rest = copy.size % 8 == 0 and 7 or 0 -- of a word that is not copied in part
        if left < behind and (left == 0 or (left - behind) % PAGE <= rest) and m:read(copy.hole, 1, cpu) then
            seen.served = seen.served + 1 -- the page was to come by a fault; where one behind it was not, the copy has ended
            return
        end
        local most = copy.writes and copy.size or math.min(behind + rest, copy.size)
        if left < behind or left > most then
            seen.wrong[#seen.wrong + 1] = string.format("%d of %d bytes left, %d lie behind the hole", left, copy.size, behind)
        end
        seen.faults = seen.faults + (left > 0 and 1 or 0)
        local place = copy.size << 32 | copy.before
        if not seen.places[place] then seen.places[place], seen.count = true, seen.count + 1 end
    end)
    return seen
end

local function booted()
    local m = orrery.machine { kernel = "orrery", cpus = 2, memory = "64M", memory_model = "sc" }:boot()
    m:ask("quiesce")
    return m, m.kernel.frames.free
end

-- What a copy writes at another place may be a variable by which a child ends: nobody waits for its end.
it("a copy ends at the byte at which there is nothing", function()
    local faults, bytes = 0, 0
    for seed = 1, 4 do
        local m = booted()
        local seen = holes(m)
        seen.parent = m:command("hostile 6000 " .. seed).pid
        m:run(orrery.ms(150))
        expect(seen.wrong[1] or "none", "wrong copies"):to_be("none")
        orrery.note(string.format("%d copies met a hole, at %d different bytes of %d sizes, %d were served", seen.faults, seen.count,
            seen.sizes, seen.served))
        expect(m:ask("stats", { until_line = "end" })):to_contain("processes")
        faults, bytes = faults + seen.faults, bytes + seen.count
    end
    expect(faults, "copies that met a hole"):to_be_above(100)
    expect(bytes, "bytes"):to_be_above(100)
end)

-- Addresses of the other side of a copy that must be refused, by its size.
local function bad_address(n, size)
    local bad = { -0x800000000000 + n * 4096, 0x7ffffffff000, 0x7ffffffff000 - size + 1, 0x800000000000, -size, -1, -size // 2,
        -0x7fe00000, 0 }
    return bad[n % #bad + 1]
end

it("addresses of the kernel and those that wrap around are refused before they are used", function()
    local m, before = booted()
    local calls, wrong, asked, touched, parent = 0, 0, {}, {}, nil
    for name, register in pairs { user_read = "rsi", user_write = "rdi" } do
        m:on_entry(name, function(cpu)
            local size = m:register(cpu, "rdx")
            if size == 0 or not is_child(m, cpu, parent) then return end
            calls = calls + 1
            asked[m.kernel.current_thread(cpu)], touched[m.kernel.current_thread(cpu)] = true, nil
            m:set_register(cpu, register, bad_address(calls, size))
        end)
        m:on_return(name, function(cpu, _, rax)
            local thread = m.kernel.current_thread(cpu)
            if not asked[thread] then return end
            asked[thread] = nil
            if rax & 0xffffffff ~= m.sym.STATUS_ERR_BAD_ADDRESS & 0xffffffff or touched[thread] then wrong = wrong + 1 end
        end)
    end
    m:on_entry("user_copy_raw", function(cpu) touched[m.kernel.current_thread(cpu)] = true end)
    local hostile = m:command("hostile 6000 1")
    parent = hostile.pid
    expect(hostile:wait { within = orrery.seconds(30) }.status, "hostile"):to_be(0)
    expect(calls, "calls"):to_be_above(100)
    expect(wrong, "calls that were not refused"):to_be(0)
    m:ask("quiesce")
    expect(m.kernel.frames.free, "free frames"):to_be(before)
end)

-- ---- copies of the scenario's own ----

local GUARD <const>, LONGEST <const> = 16, 1000

-- No byte is 0 or 255: what was copied, what was there before (each bit the other way) and new memory are told apart.
local source, other = {}, {}
for i = 1, LONGEST do
    source[i] = 1 + i * 37 % 254
    other[i] = 255 - source[i]
end
source, other = string.char(table.unpack(source)), string.char(table.unpack(other))

-- The page before a border, of whose beginning the kernel's own mapping is the other side of copies.
local function page_before(m, cpu, border)
    local page = { border = border, physical = borrow.physical_of(m, cpu, border - PAGE) }
    page.kernel, page.before = PHYSMAP + page.physical + 64, m:read(border - PAGE, PAGE, cpu)
    function page.write(address, bytes) -- of either side
        local offset = address >= PHYSMAP and address < 0 and address - PHYSMAP - page.physical or address - (border - PAGE)
        assert(offset >= 0 and offset + #bytes <= PAGE, "it lies in the page")
        m:write_physical(page.physical + offset, bytes)
    end
    return page
end

-- Prepares a copy of so many bytes, so many of them before the border; the kernel's side has an alignment. Its call, and a
-- function that says whether all bytes are right when so many were copied: those of a page that comes are 0.
local function prepare(m, page, case)
    local user, kernel = page.border - case.before, page.kernel + case.align
    local to, from = case.writes and user or kernel, case.writes and kernel or user
    local seen = case.writes and case.before or case.size -- bytes that can be looked at
    local tail = case.writes and 0 or GUARD
    page.write(from, source:sub(1, case.writes and case.size or case.before))
    page.write(to - GUARD, ("G"):rep(GUARD) .. other:sub(1, seen) .. ("H"):rep(tail))
    local function good(cpu, copied)
        local old = math.min(copied, case.writes and case.size or case.before)
        local new = ("\0"):rep(copied - old) -- of the page behind the border
        local middle = (source:sub(1, old) .. new .. other:sub(copied + 1, seen)):sub(1, seen)
        local expected = ("G"):rep(GUARD) .. middle .. ("H"):rep(tail)
        return m:read(to - GUARD, #expected, cpu) == expected and
            m:read(from, old, cpu) == source:sub(1, old)
    end
    return { "user_copy_raw", to, from, case.size }, good
end

-- The first copy of a program whose side has an end of the mapped pages near it; script(cpu, border).
local function at_first_copy(m, name, script)
    local id
    id = m:on_entry("user_copy_raw", function(cpu)
        local process = m.kernel.current_process(cpu)
        if process:value() == 0 or process.name:string() ~= name then return end
        local to, from = m:register(cpu, "rdi"), m:register(cpu, "rsi")
        local border = end_of_pages(m, cpu, in_program(to) and to or from)
        if not border then return end
        m:unprobe(id)
        script(cpu, border)
    end)
end

local function each_case(visit)
    local sizes = { 100, 256, 511, 512, LONGEST }
    for size = 1, 72 do sizes[#sizes + 1] = size end
    for _, size in ipairs(sizes) do
        for before = 0, size do
            for align = 0, size <= 24 and 7 or 0 do
                visit { size = size, before = before, align = size <= 24 and align or (size + before) % 8, writes = true }
                visit { size = size, before = before, align = size <= 24 and align or (size + before) % 8, writes = false }
            end
        end
    end
end

it("a copy ends at each byte there is, at each alignment, and touches no other", function()
    local m = orrery.machine { kernel = "orrery", cpus = 1, memory = "64M", memory_model = "sc" }:boot()
    local wrong, cases, faults, why = {}, 0, 0, 0
    at_first_copy(m, "selftest", function(first, border)
        local page, thread = page_before(m, first, border), m.sym.cpu_table[first].current:deref()
        borrow.calls(m, first, function()
            each_case(function(case)
                local call, good = prepare(m, page, case)
                local left, cpu = coroutine.yield(call)
                local copied = case.size % 8 == 0 and case.before // 8 * 8 or case.before
                cases, faults = cases + 1, faults + (left > 0 and 1 or 0)
                if left > 0 and thread.copy_fault ~= m.sym.STATUS_ERR_BAD_ADDRESS & 0xffffffff then why = why + 1 end
                if left ~= case.size - copied or not good(cpu, copied) then
                    wrong[#wrong + 1] = string.format("%s %d bytes, %d before the end, alignment %d: %d left",
                        case.writes and "to a program" or "from a program", case.size, case.before, case.align, left)
                end
            end)
            page.write(border - PAGE, page.before)
        end)
    end)
    expect(m:command("selftest registers_survive_a_call"):wait().status):to_be(0)
    orrery.note(string.format("%d copies, %d of them ended by a fault", cases, faults))
    expect(#wrong > 0 and wrong[1] or "none", "wrong copies"):to_be("none")
    expect(why, "faults with another status"):to_be(0)
    expect(cases, "copies"):to_be_above(14000)
    expect(faults, "of them ended by a fault"):to_be_above(13000)
end)

it("a text is read up to its end, its limit, or the byte at which there is nothing", function()
    local m = orrery.machine { kernel = "orrery", cpus = 1, memory = "64M", memory_model = "sc" }:boot()
    local wrong, ends = {}, { ok = 0, limit = 0, hole = 0 }
    local function one(page, before, length, limit)
        local at, to, out = page.border - before, page.kernel + 7, page.kernel - 32
        page.write(at, (source:sub(1, length) .. "\0" .. source):sub(1, before))
        page.write(to - GUARD, ("G"):rep(GUARD) .. other:sub(1, limit) .. ("H"):rep(GUARD))
        page.write(out, ("\x55"):rep(8))
        local status, cpu = coroutine.yield { "user_read_string", to, at, limit, out }
        status = string.unpack("<i4", string.pack("<I4", status & 0xffffffff))
        local how = length < math.min(limit, before) and "ok" or before < limit and "hole" or "limit"
        ends[how] = ends[how] + 1
        local wanted = how == "ok" and 0 or how == "limit" and m.sym.STATUS_ERR_LIMIT or m.sym.STATUS_ERR_BAD_ADDRESS
        local told = string.unpack("<i8", m:read(out, 8, cpu))
        local whole = how ~= "ok" or told == length and m:read(to, length + 1, cpu) == source:sub(1, length) .. "\0"
        local guards = m:read(to - GUARD, GUARD, cpu) .. m:read(to + limit, GUARD, cpu)
        if status ~= wanted or not whole or guards ~= ("G"):rep(GUARD) .. ("H"):rep(GUARD) then
            wrong[#wrong + 1] = string.format("length %d, limit %d, %d before the end: %d", length, limit, before, status)
        end
    end
    at_first_copy(m, "selftest", function(first, border)
        local page = page_before(m, first, border)
        borrow.calls(m, first, function()
            for before = 1, 40 do
                for length = 0, 41 do
                    for _, limit in ipairs { 1, 7, 8, 16, 31, 32, 33, 48 } do one(page, before, length, limit) end
                end
            end
            page.write(border - PAGE, page.before)
        end)
    end)
    expect(m:command("selftest registers_survive_a_call"):wait().status):to_be(0)
    orrery.note(string.format("%d texts, %d over the limit, %d into the hole", ends.ok, ends.limit, ends.hole))
    expect(wrong[1] or "none", "wrong texts"):to_be("none")
    expect(ends.ok + ends.limit + ends.hole, "texts"):to_be(40 * 42 * 8)
end)

-- captest has two pages of which another thread takes the second one away and maps it again, all the time. Copies over their
-- border, which comes after each number of bytes, stand still before one of their turns after the other until each has lost
-- the page.
it("a copy ends where another CPU has taken the page away meanwhile, whatever lies before it", function()
    local STILL <const>, MOST <const> = orrery.us(15), 20000
    local FIRST <const> = 5 -- instructions of user_copy_raw, after which it soon copies
    local m = booted()
    local border, borrowed, wrong, all, lost, tries = nil, nil, {}, 0, 0, 0
    local function script(cpu)
        local page = page_before(m, cpu, border)
        local function there() return m:read(border, 1, cpu) ~= nil end
        local function try(case, turn)
            while not there() and tries < MOST do
                tries = tries + 1
                m:stall(cpu, m:register(cpu, "retired") + 3, orrery.us(1))
                _, cpu = coroutine.yield { "user_copy_raw", page.kernel, border, 8 } -- it comes when it is touched
            end
            local call, good = prepare(m, page, case)
            m:stall(cpu, m:register(cpu, "retired") + FIRST + turn, STILL)
            local left
            left, cpu = coroutine.yield(call)
            local copied, least = case.size - left, case.size % 8 == 0 and case.before // 8 * 8 or case.before
            if copied < least or copied > case.size or (case.size % 8 == 0 and copied % 8 ~= 0) or not good(cpu, copied) then
                wrong[#wrong + 1] = string.format("%d bytes, %d before the border: %d left", case.size, case.before, left)
            end
            tries = tries + 1
            return left > 0
        end
        for _, size in ipairs { 8, 9, 13, 16, 24, 31, 32, 33, 40, 48, 56, 63, 64 } do
            for before = 0, size - 1 do
                for way = 0, 1 do
                    local case = { size = size, before = before, align = before % 8, writes = way == 1 }
                    local turns = size % 8 == 0 and size // 8 or size
                    local gone
                    local i = 0
                    while not gone and tries < MOST do
                        i = i + 1
                        gone = try(case, i % (turns + 2))
                    end
                    all, lost = all + 1, lost + (gone and 1 or 0)
                end
            end
        end
        page.write(border - PAGE, page.before)
    end
    m:on_entry("vm_unmap", function(cpu)
        local process = m.kernel.current_process(cpu)
        if process:value() ~= 0 and process.name:string() == "captest" then border = m:register(cpu, "rsi") end
    end)
    local id
    id = m:on_entry("user_copy_raw", function(cpu)
        local process = m.kernel.current_process(cpu)
        if not border or process:value() == 0 or process.name:string() ~= "captest" then return end
        if not m:read(border - PAGE, 1, cpu) then return end
        m:unprobe(id)
        borrowed = borrow.calls(m, cpu, function() script(cpu) end)
    end)
    expect(m:command("captest copies_race_with_unmaps"):wait { within = orrery.seconds(20) }.status):to_be(0)
    orrery.note(string.format("%d of %d copies lost their page, in %d tries", lost, all, tries))
    expect(wrong[1] or "none", "wrong copies"):to_be("none")
    expect(borrowed ~= nil and borrowed.over, "all was tried"):to_be(true)
    expect(lost, "copies that lost their page"):to_be(all)
    expect(all, "copies"):to_be(2 * 437)
end)
