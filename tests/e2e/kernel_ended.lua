-- Purpose: names and rights that programs keep of threads and processes that have ended (os/programs/threadtest/stale.c), used
-- before the memory of the dead goes back, when it goes, and afterwards; with the debugging heap, and every instruction of the
-- kernel on its way from such a call to its end, and behind the free of a thread and in timer interrupts, looked at one by one.
-- Expects: each use gets the status that the program asks for, and none reads or writes an object of the heap that is freed, or a free
-- frame; a kernel that leaves a reference behind is found.
-- covers: SC-26

local PHYSMAP <const>, PHYSMAP_END <const> = -0x800000000000, -0x400000000000
local GRAIN <const> = 16 -- bytes; objects of the heap are aligned to them
local CALLS <const> = { "syscall_dispatch", "sched_timer_interrupt" }
local ALLOCATORS <const> = { "slab_free_site", "slab_alloc_sized", "frame_alloc", "frame_alloc_some", "frame_alloc_contiguous" } -- may
local TEST <const> = "threadtest what_is_kept_of_the_ended_is_told_apart"

-- The memory operand of an instruction: registers with their factors, and a displacement; nil when it has none in memory that
-- anybody could have freed.
local function operand_of(text)
    local repeated = text:match("^rep%a* %a+([bwdq])")
    if repeated or text:find("^lea ") or text:find("^nop") or text:find("[fg]s:") then
        return repeated and { string = text, bytes = ({ b = 1, w = 2, d = 4, q = 8 })[repeated] } or nil
    end
    local inner = text:match("%[(.-)%]")
    if not inner then return nil end
    local operand = { displacement = 0 }
    for sign, term in ("+" .. inner):gmatch("([+-])([^+-]+)") do
        local name, factor = term:match("^(r%w+)%*(%d)$")
        name = name or term:match("^r%w+$")
        if name then
            operand[#operand + 1] = { name, math.tointeger(factor or 1) }
        else
            operand.displacement = operand.displacement + (sign == "-" and -1 or 1) * math.tointeger(term)
        end
    end
    return operand
end

-- What is freed, and a look at what the CPU's next instruction touches of it.
local function watch(m)
    local seen = { steps = 0, accesses = 0, freed = 0, found = 0, known = {} }
    local owner, operands, inside, frames = {}, {}, 0, m.sym.frame_table
    local entry, state = frames[0]:sizeof(), frames[0]:offsetof("state")
    local function mark(object, bytes, value)
        for at = object, object + bytes - 1, GRAIN do owner[at // GRAIN] = value end
    end
    m:on_entry("slab_free_site", function(cpu)
        local cache, object = m.sym("slab_cache", m:register(cpu, "rdi")), m:register(cpu, "rsi")
        local name = cache.name:string()
        mark(object, cache.object_size, name)
        seen.known[object], seen.freed = cache.object_size, seen.freed + 1
        seen[name] = (seen[name] or 0) + 1
    end)
    m:on_return("slab_alloc_sized", function(_, _, object)
        if seen.known[object] then mark(object, seen.known[object], nil) end
        seen.known[object] = nil
    end)
    for _, name in ipairs(ALLOCATORS) do
        m:on_entry(name, function() inside = inside + 1 end)
        m:on_return(name, function() inside = inside - 1 end)
    end
    local function is_free(address)
        if address < PHYSMAP or address >= PHYSMAP_END then return false end
        local at = frames[0]:address() + (address - PHYSMAP) // 4096 * entry + state
        local bytes = m:read(at, 1, 0)
        return bytes ~= nil and (bytes:byte() == m.sym.FRAME_FREE or bytes:byte() == m.sym.FRAME_CACHED)
    end
    local function look(address, rip)
        if inside > 0 then return end
        seen.accesses = seen.accesses + 1
        local what = owner[address // GRAIN] or is_free(address) and "free frame"
        if not what then return end
        seen.found = seen.found + 1
        seen.first = seen.first or string.format("%s at 0x%x: %s, %s", what, address, m:describe(rip), (m:disassemble(rip)))
    end
    local function decode(rip)
        local text = m:disassemble(rip)
        operands[rip] = operand_of(text) or false
        return operands[rip]
    end
    function seen.step()
        local rip, before = m:register(0, "rip"), m:register(0, "retired")
        local operand = operands[rip]
        if operand == nil then operand = decode(rip) end
        if operand and operand.string then
            local bytes = m:register(0, "rcx") * operand.bytes
            for _, name in ipairs { "rdi", operand.string:find("movs") and "rsi" or nil } do
                if bytes > 0 then look(m:register(0, name), rip) look(m:register(0, name) + bytes - 1, rip) end
            end
        elseif operand then
            local address = operand.displacement
            for _, part in ipairs(operand) do address = address + m:register(0, part[1]) * part[2] end
            look(address, rip)
        end
        local waited = 0
        repeat
            m:run(1)
            waited = waited + 1
        until m:register(0, "retired") ~= before or waited == 5000
        seen.steps = seen.steps + 1
        return waited < 5000 and m:register(0, "cpl") == 0
    end
    return seen
end

-- Runs the test; whenever the kernel is called, or has freed a thread, instruction by instruction until it is left or idle.
local function run(m, seen, finished)
    local asked = false
    local function stop()
        asked = true
        m:stop()
    end
    for _, name in ipairs(CALLS) do m:on_entry(name, stop) end
    m:on_return("thread_free_block", stop)
    local last = m:cycles() + orrery.seconds(2)
    while not finished() and m:cycles() < last do
        asked = false
        m:run(orrery.ms(20))
        while asked and seen.step() and not finished() do end
    end
end

local function booted()
    return orrery.machine { kernel = "orrery", cpus = 1, memory = "64M", append = "heap=full", blocks = "single" }:boot()
end

it("what is kept of the ended has its status, and leads to no memory that is freed", function()
    local m = booted()
    local command = m:command(TEST)
    local seen = watch(m)
    run(m, seen, function() return m:console(0):find("ok 1 - ", 1, true) ~= nil end)
    orrery.note(string.format("%d instructions, %d accesses; freed: %d threads, %d processes, %d objects in all", seen.steps,
        seen.accesses, seen.thread or 0, seen.process or 0, seen.freed))
    expect(seen.first or "none", "touched"):to_be("none")
    expect(command:wait().status):to_be(0)
    expect(seen.thread, "threads freed"):to_be(12)
    expect(seen.process, "processes freed"):to_be_at_least(8)
end)

it("a right to answer that leads to a thread that is freed is found", function()
    local m, callers, at, kept = booted(), 0, nil, nil
    m:command(TEST)
    local seen = watch(m)
    m:on_entry("endpoint_cancel_locked", function(cpu) -- the fourth caller is the one whose right is used last
        callers = callers + 1
        at = m.sym("ipc_party", m:register(cpu, "rdi")).answers:value()
        kept = m:read(at, m.sym("reply_right", at):sizeof(), cpu)
    end)
    m:on_return("endpoint_cancel_locked", function()
        if callers == 4 then m:write_physical(at - PHYSMAP, kept) end
    end)
    run(m, seen, function() return seen.found > 0 end)
    expect(seen.thread, "threads freed"):to_be(12)
    expect(seen.first, "what is touched"):to_match("^thread at .*os/kernel/ipc/")
    orrery.note(seen.first)
end)
