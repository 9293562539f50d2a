-- Purpose: threads of the dimension store that meet at bad moments: CPUs that stand still inside its functions.
-- Expects: readers that take no lock, make no system call and wait for nobody; writers one at a time, and none that takes content away
-- which a reader has in view; sums and limits of the pool that are exact whenever its lock changes hands.
-- Options: --set schedules=N of each race; --seed N: others.
-- covers: DS-26 (X), DS-27 (X), PA-04 (X), PA-05 (X)
local user_program = require "user_program"

local READERS_FROM <const>, CPUS <const> = 2, 6 -- worker i runs on CPU i; the first two write
local schedules = orrery.args.schedules or 3

local function booted(cpus, memory_model)
    local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", memory_model = memory_model }:boot()
    return m, user_program(m, "dimbench")
end

-- Instructions of the store with a lock prefix, or XCHG with memory, which is one: address and function.
local function locked_instructions()
    local found = {}
    for at, name in tostring(orrery.args.locked or ""):gmatch("(%x+):([^,]+)") do found[tonumber(at, 16)] = name end
    return found
end

-- Lets a CPU stand still for up to `us` microseconds, soon, once in so many calls.
local function maybe_stall(m, cpu, once_in, us)
    if math.random(once_in) == 1 then
        m:stall(cpu, m:register(cpu, "retired") + math.random(60), orrery.us(math.random(us)))
    end
end

describe("readers", function()
    it("take no lock, ask the kernel for nothing, and need as few instructions whatever writers do", function()
        local m, program = booted(CPUS, "tso")
        local in_section, trapped, begins, calls = {}, {}, 0, 0
        local read_locks, write_locks, most = {}, {}, {}
        local function thread(cpu) return m:register(cpu, "fs_base") end -- the main thread may come between on any CPU
        for at, name in pairs(locked_instructions()) do
            program.probe(at, function(cpu)
                local trace = cpu < READERS_FROM and write_locks or in_section[thread(cpu)] and read_locks
                if trace then trace[name] = (trace[name] or 0) + 1 end
            end)
        end
        m:on_entry("trap_dispatch", function(cpu) trapped[cpu] = true end)
        m:on_entry("syscall_dispatch", function(cpu)
            if in_section[thread(cpu)] and program.runs(cpu) then calls = calls + 1 end
        end)
        program.on_entry("dim_read_begin", function(cpu) in_section[thread(cpu)], begins = true, begins + 1 end)
        for _, name in ipairs { "dim_read_begin", "dim_access_layer", "dim_read_end" } do
            most[name] = 0
            program.around(name, function(cpu)
                trapped[cpu] = false
                return m:register(cpu, "retired")
            end, function(cpu, _, _, from)
                if name == "dim_read_end" then in_section[thread(cpu)] = nil end
                local took = m:register(cpu, "retired") - from
                if not trapped[cpu] and took > most[name] then most[name] = took end
            end)
        end
        local status, text = program.run("store " .. CPUS)
        expect(status, text):to_be(0)
        local trace = {}
        for name, count in pairs(read_locks) do trace[#trace + 1] = name .. " " .. count end
        -- The one locked instruction is the store that publishes the section's epoch: the reader's own word, nobody is waited for.
        expect(table.concat(trace, ", "), "locked instructions of readers"):to_be("dim_read_begin " .. begins)
        expect(begins, "sections"):to_be_at_least(500)
        expect(calls, "system calls in sections"):to_be(0)
        local seen = 0 -- the trace is not blind: writers draw tickets
        for _, count in pairs(write_locks) do seen = seen + count end
        expect(seen, "locked instructions of writers"):to_be_at_least(100)
        orrery.note(string.format("%d sections; instructions of begin, access, end at most: %d, %d, %d", begins, most.dim_read_begin,
            most.dim_access_layer, most.dim_read_end))
        expect(most.dim_read_begin, "instructions of dim_read_begin"):to_be_at_most(24)
        expect(most.dim_access_layer, "instructions of dim_access_layer"):to_be_at_most(120)
        expect(most.dim_read_end, "instructions of dim_read_end"):to_be_at_most(24)
    end)

    for _, place in ipairs { "dim_version_load", "dim_readers_wait", "dim_version_drop" } do
        it("go on while a writer stands still in " .. place, function()
            local m, program = booted(CPUS, "tso")
            local still <const>, least = orrery.ms(2), math.maxinteger
            local till, sections, stood, begun = 0, {}, 0, 0
            local function judge() -- the stall that is over
                for reader = READERS_FROM, CPUS - 1 do
                    if stood > 0 then least = math.min(least, sections[reader]) end
                    sections[reader] = 0
                end
            end
            program.on_entry("dim_read_begin", function(cpu, cycle)
                begun = begun + 1
                if cycle < till then sections[cpu] = sections[cpu] + 1 end
            end)
            program.on_entry(place, function(cpu, cycle)
                if cycle < till or stood == 3 or begun < 100 then return end
                judge()
                stood, till = stood + 1, cycle + still
                m:stall(cpu, m:register(cpu, "retired") + 1, still)
            end)
            local status, text = program.run("store " .. CPUS)
            judge()
            expect(status, text):to_be(0)
            expect(stood, "stalls"):to_be(3)
            orrery.note("in 2 ms each reader began " .. least .. " sections or more")
            expect(least, "sections of the slowest reader"):to_be_at_least(300)
        end)
    end
end)

describe("writers", function()
    it("exclude each other, and take nothing away that a reader has in view", function()
        local m, program = booted(CPUS, "tso")
        local held, inside, wrong, waits, taken = {}, {}, {}, 0, 0
        -- what readers have in view, from the access to the end of the section
        program.around("dim_access_layer", function(cpu)
            maybe_stall(m, cpu, 16, 40)
            return m:register(cpu, "rcx")
        end, function(cpu, _, rax, slice)
            if rax & 0xffffffff ~= 0 then return end
            held[cpu] = held[cpu] or {}
            held[cpu][#held[cpu] + 1] = program.word(slice, cpu)
            maybe_stall(m, cpu, 16, 40)
        end)
        program.on_entry("dim_read_end", function(cpu) held[cpu] = nil end)
        for _, name in ipairs { "unmap", "release" } do -- of the platform: address and bytes
            program.on_entry(name, function(cpu)
                local first, bytes = m:register(cpu, "rsi"), m:register(cpu, "rdx")
                taken = taken + 1
                for reader, places in pairs(held) do
                    for _, at in ipairs(places) do
                        if at >= first and at < first + bytes then wrong[#wrong + 1] = "CPU " .. reader .. " has it in view" end
                    end
                end
            end)
        end
        for _, name in ipairs { "dim_version_load", "dim_readers_wait", "dim_version_drop" } do -- what only who holds the lock does
            program.around(name, function(cpu)
                inside[cpu] = name
                for other, where in pairs(inside) do
                    if other ~= cpu then wrong[#wrong + 1] = name .. " while CPU " .. other .. " is in " .. where end
                end
                maybe_stall(m, cpu, 3, 100)
            end, function(cpu) inside[cpu] = nil end)
        end
        program.on_entry("relax", function(cpu)
            if inside[cpu] == "dim_readers_wait" then waits = waits + 1 end
        end)
        program.on_entry("dim_read_begin", function(cpu) maybe_stall(m, cpu, 16, 40) end)
        for schedule = 1, schedules do
            local status, text = program.run("store " .. CPUS)
            expect(status, "schedule " .. schedule .. ": " .. text):to_be(0)
            expect(text):to_match("torn 0 missed %d+ failed 0")
            expect(wrong[1] or "nothing", "wrong in schedule " .. schedule):to_be("nothing")
        end
        orrery.note(string.format("%d schedules, %d times memory was taken away, %d rounds of waiting for readers", schedules, taken, waits))
        expect(taken, "memory taken away"):to_be_at_least(40 * schedules)
        expect(waits, "rounds of waiting for readers"):to_be_at_least(schedules)
    end)
end)

-- The pool's words in the program's memory.
local function pool_of(m, program)
    local at = program.address("watched_pool")
    local function watched(cpu) return string.unpack("<i8i8i8i8i8", assert(m:read(at, 40, cpu))) end
    local pool = {}

    function pool.allocated(cpu) return program.word((watched(cpu)), cpu) end

    -- Where the lock has the ticket that is served: a store to it gives the lock to the next.
    function pool.served_at(cpu)
        local _, lock = watched(cpu)
        return lock + 4
    end

    -- Bytes of the blocks whose bits are set in the first `count` chunks.
    function pool.used(count, cpu)
        local _, _, chunks, size, words = watched(cpu)
        local sum = 0
        for i = 0, count - 1 do
            local bytes, bits = assert(m:read(chunks + i * size, size, cpu)), 0
            for w = 0, words - 1 do
                local word = string.unpack("<i8", bytes, 8 * w + 1)
                while word ~= 0 do word, bits = word & (word - 1), bits + 1 end
            end
            sum = sum + bits * (4096 << 2 * bytes:byte(8 * words + 5)) -- after two counts of 16 bits: the class of size
        end
        return sum
    end

    return pool
end

-- Calls look(cpu) after every store of the functions that change the pool, and lets CPUs stand still there once in so many times.
local function after_every_store(m, program, once_in, look)
    local count = 0
    for at in tostring(orrery.args.stores or ""):gmatch("%x+") do
        count = count + 1
        program.probe(tonumber(at, 16), function(cpu)
            look(cpu)
            maybe_stall(m, cpu, once_in, 20)
        end)
    end
    expect(count, "stores"):to_be_at_least(20)
end

describe("the pool", function()
    it("gives the last block to one of sixteen, and nothing ever goes over the limit", function()
        local m, program = booted(8, "sc")
        local pool, most, looks = pool_of(m, program), 0, 0
        after_every_store(m, program, 8, function(cpu)
            local allocated = pool.allocated(cpu)
            looks = looks + 1
            if allocated > most then most = allocated end
        end)
        for schedule = 1, schedules do
            local status, text = program.run("limit 16 8")
            expect(status, "schedule " .. schedule .. ": " .. text):to_be(0)
            expect(text):to_match("limit rounds 8 winners 8 refused 120 peak 262144 of 262144")
        end
        expect(most, "bytes allocated"):to_be(262144)
        orrery.note(string.format("%d schedules, looked at after %s stores", schedules, orrery.grouped(looks)))
    end)

    it("knows what is allocated, to the byte, whenever its lock changes hands", function()
        local m, program = booted(CPUS, "sc")
        local pool, checks, wrong = pool_of(m, program), 0, {}
        local limit <const>, chunks <const> = 5 * 262144, 5
        after_every_store(m, program, 40, function(cpu)
            if pool.allocated(cpu) > limit then wrong[#wrong + 1] = "over the limit" end
        end)
        for at, offset, base in tostring(orrery.args.plain or ""):gmatch("(%x+):(%x+):(%w+)") do
            program.probe(tonumber(at, 16), function(cpu)
                if m:register(cpu, base) + tonumber(offset, 16) ~= pool.served_at(cpu) then return end
                local allocated, used = pool.allocated(cpu), pool.used(chunks, cpu)
                checks = checks + 1
                if allocated ~= used then wrong[#wrong + 1] = allocated .. " told, " .. used .. " used" end
            end)
        end
        for schedule = 1, schedules do
            local status, text = program.run("sums " .. CPUS)
            expect(status, "schedule " .. schedule .. ": " .. text):to_be(0)
            expect(wrong[1] or "nothing", "wrong in schedule " .. schedule):to_be("nothing")
        end
        orrery.note(string.format("%d schedules, compared %s times", schedules, orrery.grouped(checks)))
        expect(checks, "comparisons"):to_be_at_least(200 * schedules)
    end)
end)
