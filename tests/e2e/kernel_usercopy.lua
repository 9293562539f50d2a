-- Purpose: copies between the kernel and programs that meet a page that is not there, at each byte: whenever a program that
-- makes random calls has one made, its own side is moved to the end of a page behind which there is nothing.
-- And copies whose page another CPU takes away meanwhile, at some 50 bytes.
-- Expects: the kernel never faults; exactly what lies before the end is copied, to the word where whole words are; addresses of the
-- kernel and those that wrap around are refused before anything is touched, and every frame is back.
-- covers: VM-12 (X)
local PAGE <const>, USER_END <const> = 4096, 0x7ffffffff000

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
    local process = m.sym.cpu_table[cpu].current.process
    return parent and process:value() ~= 0 and process.name:string() == "hostile" and process.pid.number ~= parent
end

-- Moves the copies of hostile's children to where they meet a hole after k bytes, k = 0, 1, 2 ... for each size.
local function holes(m)
    local seen = { faults = 0, served = 0, sizes = 0, wrong = {}, places = {}, count = 0 }
    local next_byte, moved = {}, {}
    local function thread_on(cpu) return m.sym.cpu_table[cpu].current:value() end
    m:on_entry("user_copy_raw", function(cpu)
        moved[thread_on(cpu)] = nil
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
        moved[thread_on(cpu)] = { size = size, before = before, hole = hole, writes = writes }
    end)
    m:on_return("user_copy_raw", function(cpu, _, left)
        local copy = moved[thread_on(cpu)]
        if not copy then return end
        moved[thread_on(cpu)] = nil
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
    local function thread_on(cpu) return m.sym.cpu_table[cpu].current:value() end
    for name, register in pairs { user_read = "rsi", user_write = "rdi" } do
        m:on_entry(name, function(cpu)
            local size = m:register(cpu, "rdx")
            if size == 0 or not is_child(m, cpu, parent) then return end
            calls = calls + 1
            asked[thread_on(cpu)], touched[thread_on(cpu)] = true, nil
            m:set_register(cpu, register, bad_address(calls, size))
        end)
        m:on_return(name, function(cpu, _, rax)
            local thread = thread_on(cpu)
            if not asked[thread] then return end
            asked[thread] = nil
            if rax & 0xffffffff ~= m.sym.STATUS_ERR_BAD_ADDRESS & 0xffffffff or touched[thread] then wrong = wrong + 1 end
        end)
    end
    m:on_entry("user_copy_raw", function(cpu) touched[thread_on(cpu)] = true end)
    local hostile = m:command("hostile 2000 1")
    parent = hostile.pid
    expect(hostile:wait { within = orrery.seconds(30) }.status, "hostile"):to_be(0)
    expect(calls, "calls"):to_be_above(100)
    expect(wrong, "calls that were not refused"):to_be(0)
    m:ask("quiesce")
    expect(m.kernel.frames.free, "free frames"):to_be(before)
end)

-- captest copies across the border of two pages, of which another CPU takes the second one away. The copies are moved so that
-- the border comes after k bytes, k = 0, 1, 2 ... for each size, and the CPU that copies stands still in the middle.
it("a copy ends where another CPU has taken the page away meanwhile", function()
    local m = booted()
    local border, started, next_byte, wrong, places, raced = nil, {}, {}, {}, {}, 0
    local function thread_on(cpu) return m.sym.cpu_table[cpu].current:value() end
    local function by_captest(cpu)
        local process = m.sym.cpu_table[cpu].current.process
        return process:value() ~= 0 and process.name:string() == "captest"
    end
    m:on_entry("vm_unmap", function(cpu)
        if by_captest(cpu) then border = m:register(cpu, "rsi") end
    end)
    m:on_entry("user_copy_raw", function(cpu)
        started[thread_on(cpu)] = nil
        if not border or not by_captest(cpu) then return end
        local size, register = m:register(cpu, "rdx"), in_program(m:register(cpu, "rdi")) and "rdi" or "rsi"
        local from = m:register(cpu, register)
        if from >= border or from + size <= border or size > PAGE then return end
        local before = next_byte[size] or 0
        next_byte[size] = (before + 1) % size
        m:set_register(cpu, register, border - before)
        started[thread_on(cpu)] = { size = size, before = before, there = m:read(border, 1, cpu) ~= nil }
        local turns = size % 8 == 0 and size // 8 or size
        m:stall(cpu, m:register(cpu, "retired") + 7 + math.random(turns), orrery.us(math.random(8)))
    end)
    m:on_return("user_copy_raw", function(cpu, _, left)
        local copy = started[thread_on(cpu)]
        if not copy or left == 0 then return end
        local most = math.min(copy.size - copy.before + (copy.size % 8 == 0 and 7 or 0), copy.size)
        if left > most then wrong[#wrong + 1] = string.format("%d of %d left, %d before", left, copy.size, copy.before) end
        if copy.there then raced, places[copy.size << 32 | copy.before] = raced + 1, true end
    end)
    for _ = 1, 4 do
        border = nil
        expect(m:command("captest copies_race_with_unmaps"):wait().status):to_be(0)
    end
    local count = 0
    for _ in pairs(places) do count = count + 1 end
    orrery.note(string.format("%d copies lost their page, at %d different bytes", raced, count))
    expect(wrong[1] or "none", "wrong copies"):to_be("none")
    expect(count, "bytes"):to_be_above(30)
end)
