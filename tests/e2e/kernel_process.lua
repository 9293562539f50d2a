-- Purpose: the states of processes: what is not a legal change, tried at every place where a process changes its state; and every
-- change of a storm of forks, kills and exits, looked at from outside. Lookups that stand still at every one of their instructions
-- while what they look for ends.
-- Expects: an assertion for each illegal change, none for a legal one; no state that changes in another way; no process whose
-- memory is freed while a lookup has it.
-- Options: --cpus N.
-- covers: PS-05 (X), PS-08 (X)

local state = require "kernels.orrery_state"

local cpus = orrery.args.cpus or 4
local STATES <const> = { "NEW", "LIVE", "EXITING", "ZOMBIE", "DEAD" }
local REGISTERS <const> = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip", "rflags" }

-- Without the adapter, which would take a panic for the end.
local function booted()
    local m = orrery.machine { kernel = "build/os/orrery.elf", initrd = "build/os/initrd.cpio", cpus = cpus, memory = "64M",
        memory_model = "sc", append = "" }
    return m:boot { until_text = "init: ready" }
end

local function state_of(m, process) return m.sym("process", process).state end

local function storm(m)
    expect(m:command("forkstorm --processes 60 --depth 3"):wait { within = orrery.seconds(10) }.status):to_be(0)
end

-- Calls functions in the place of the instruction that a CPU is about to execute: each must end in a panic, after which the
-- CPU is as it was and the next one is called; after the last one the CPU goes on.
local function assertions(m)
    local self = { busy = {}, entered = 0, pairs = {}, homes = {} }

    local function step(cpu)
        local at = self.busy[cpu]
        for _, name in ipairs(REGISTERS) do m:set_register(cpu, name, at.saved[name]) end
        at.index = at.index + 1
        local try = at.tries[at.index]
        if not try then
            self.busy[cpu] = nil
            return
        end
        m:set_register(cpu, "rdi", at.process)
        m:set_register(cpu, "rsi", try.to)
        m:set_register(cpu, "rsp", at.stack)
        m:set_register(cpu, "rip", (m:symbol(try.name)))
    end

    m:on_entry("panic", function(cpu)
        local at, format = self.busy[cpu], m:read(m:register(cpu, "rdi"), 64, cpu):match("^[^\0]*")
        if not at or not format:find("illegal state change", 1, true) then error("a panic of its own: " .. format) end
        local try = at.tries[at.index]
        expect(state_of(m, at.process), "state after " .. try.name):to_be(at.state)
        expect(m:register(cpu, "rdx") & 0xffffffff, "state that the panic names first"):to_be(at.state)
        expect(m:register(cpu, "rcx") & 0xffffffff, "state that the panic names then"):to_be(try.to)
        self.entered = self.entered + 1
        self.pairs[at.state * #STATES + try.to] = true
        step(cpu)
    end)

    -- stack: where a return address of the caller lies, so that a call that does not panic is seen to return.
    function self.start(cpu, process, stack, tries)
        local saved, home = {}, string.unpack("<i8", m:read(stack, 8, cpu))
        for _, name in ipairs(REGISTERS) do saved[name] = m:register(cpu, name) end
        self.busy[cpu] = { saved = saved, process = process, stack = stack, state = state_of(m, process), tries = tries, index = 0 }
        self.homes[home] = self.homes[home] or m:probe(home, function(back)
            local at = self.busy[back]
            if at then error(string.format("%s: from %s to %s passed", at.tries[at.index].name, at.state, at.tries[at.index].to)) end
        end)
        step(cpu)
    end

    return self
end

local function count(set)
    local n = 0
    for _ in pairs(set) do n = n + 1 end
    return n
end

describe("states of processes", function()
    it("every illegal change asserts wherever it is tried", function()
        local m = booted()
        local values, legal, seen, illegal = {}, {}, {}, 0
        for i, name in ipairs(STATES) do values[i] = m.sym["PROCESS_" .. name] end
        for i = 1, #STATES - 1 do legal[values[i]] = values[i + 1] end
        local assertion = assertions(m)

        -- All changes of a state but the legal one: by what changes states, and by what begins and ends life in the table.
        local function tries_of(state)
            local tries = {}
            for _, to in ipairs(values) do
                if to ~= legal[state] then tries[#tries + 1] = { name = "process_set_state", to = to } end
            end
            if state ~= values[1] then tries[#tries + 1] = { name = "process_link_locked", to = values[2] } end
            if state ~= values[4] then tries[#tries + 1] = { name = "process_reap_locked", to = values[5] } end
            return tries
        end

        local function try_all(cpu, process, stack)
            if assertion.busy[cpu] then return end -- a function that is tried
            local state = state_of(m, process)
            seen[state] = (seen[state] or 0) + 1
            if seen[state] > 20 then return end
            local tries = tries_of(state)
            illegal = illegal + #tries
            assertion.start(cpu, process, stack, tries)
        end

        for _, name in ipairs { "process_link_locked", "process_set_state", "process_reap_locked" } do
            m:on_entry(name, function(cpu) try_all(cpu, m:register(cpu, "rdi"), m:register(cpu, "rsp")) end)
        end
        local reaped = {}
        m:on_entry("process_reap_locked", function(cpu) reaped[cpu] = reaped[cpu] or m:register(cpu, "rdi") end)
        m:on_return("process_reap_locked", function(cpu)
            if assertion.busy[cpu] then return end
            local process = reaped[cpu]
            reaped[cpu] = nil
            try_all(cpu, process, m:register(cpu, "rsp") - 8)
        end)
        storm(m)
        for i, name in ipairs(STATES) do expect(seen[values[i]] or 0, "places with a process that is " .. name):to_be_at_least(20) end
        expect(assertion.entered, "assertions"):to_be(illegal)
        local pairs_seen, pairs_wanted = count(assertion.pairs), #STATES * #STATES - (#STATES - 1)
        expect(pairs_seen, "illegal pairs of states"):to_be(pairs_wanted)
        orrery.note(string.format("%d of %d pairs", pairs_seen, pairs_wanted))
        orrery.note(string.format("%d of %d tries asserted", assertion.entered, illegal))
    end)

    -- From outside a state may only be what the last change made of it.
    it("every process of a storm goes from state to state as it should, and its state changes nowhere else", function()
        local m = booted()
        local values, states, changes = {}, {}, 0
        for i, name in ipairs(STATES) do values[i] = m.sym["PROCESS_" .. name] end
        local function change(process, from, to)
            expect(state_of(m, process), "state before the change"):to_be(from)
            expect(states[process] or from, "state after the last change"):to_be(from)
            states[process] = to ~= values[5] and to or nil
            changes = changes + 1
        end
        m:on_entry("process_link_locked", function(cpu) change(m:register(cpu, "rdi"), values[1], values[2]) end)
        m:on_entry("process_set_state", function(cpu)
            local to = m:register(cpu, "rsi") & 0xffffffff
            change(m:register(cpu, "rdi"), to == values[3] and values[2] or values[3], to)
        end)
        m:on_entry("process_reap_locked", function(cpu) change(m:register(cpu, "rdi"), values[4], values[5]) end)
        for _, line in ipairs { "forkstorm --processes 60 --depth 3", "ipctest a_process_is_ended_while_it_waits who_may_end_whom",
            "threadtest racing_exits_end_the_process_once of_several_execs_one_wins" } do
            expect(m:command(line):wait { within = orrery.seconds(10) }.status, line):to_be(0)
        end
        expect(changes, "changes"):to_be_at_least(4 * 60)
        expect(count(states), "processes that have not been reaped"):to_be(0)
    end)

    it("the kernel dies of an illegal change", function()
        local m, tried = booted(), false
        m:on_entry("process_set_state", function(cpu)
            if tried then return end
            tried = true
            m:set_register(cpu, "rsi", m.sym.PROCESS_DEAD)
        end)
        m:command("forkstorm --processes 8 --depth 2")
        expect(m:run(orrery.seconds(2))):to_be("debug-exit")
        expect(m:console(0)):to_match("panic: process %d+: illegal state change " .. m.sym.PROCESS_LIVE .. " to " .. m.sym.PROCESS_DEAD)
    end)
end)

describe("lookups of processes", function()
    local STILL <const> = orrery.us(100)
    local FUNCTIONS <const> = { "process_get", "process_put", "process_info_read", "process_kill", "process_own_locked" }

    it("keep what they have found while it ends, wherever they stand still", function()
        local m = booted()
        local held, asked, found, missing, freed_while, alive, fresh = {}, {}, 0, 0, 0, nil, nil
        local points, stood, overtaken, at_instructions = 0, 0, 0, true
        m:on_entry("process_get", function(cpu) asked[state.current_thread(m, cpu)] = m:register(cpu, "rdi") & 0xffffffff end)
        m:on_return("process_get", function(cpu, _, process)
            if process == 0 then
                missing = missing + 1
                return
            end
            expect(m.sym("process", process).pid.number, "the pid of what was found"):to_be(asked[state.current_thread(m, cpu)])
            held[process], found = (held[process] or 0) + 1, found + 1
            if fresh ~= process then return end -- of each process one lookup stands still with it
            fresh = nil
            m:stall(cpu, m:register(cpu, "retired"), STILL)
        end)
        m:on_entry("process_put", function(cpu)
            local process = m:register(cpu, "rdi")
            if not held[process] then return end
            held[process] = held[process] > 1 and held[process] - 1 or nil
            if state_of(m, process) == m.sym.PROCESS_DEAD then overtaken = overtaken + 1 end
        end)
        m:on_entry("process_link_locked", function(cpu)
            local process = m:register(cpu, "rdi")
            if at_instructions then alive = process else fresh = process end
        end)
        m:on_entry("process_reap_locked", function() alive, fresh = nil, nil end)
        local cache = m.sym.process_cache:address()
        m:on_entry("slab_free_site", function(cpu)
            if m:register(cpu, "rdi") == cache and held[m:register(cpu, "rsi")] then freed_while = freed_while + 1 end
        end)
        for _, name in ipairs(FUNCTIONS) do
            for _, address in ipairs(m:code_of(name)) do
                local id
                points = points + 1
                id = m:probe(address, function(cpu)
                    if not alive then return end -- of each process one lookup stands still, at one instruction
                    alive = nil
                    m:unprobe(id)
                    stood = stood + 1
                    m:stall(cpu, m:register(cpu, "retired"), STILL)
                end)
            end
        end
        for _, round in ipairs { "at an instruction", "with what was found" } do
            at_instructions = round == "at an instruction"
            local line = "threadtest a_lookup_meets_the_end_of_what_it_looks_for"
            expect(m:command(line):wait { within = orrery.seconds(20) }.status, round):to_be(0)
            orrery.note(string.format("after the round %s: %d of %d lookups overtaken by a whole end", round, overtaken, found))
        end
        expect(freed_while, "processes freed while a lookup had them"):to_be(0)
        expect(found, "lookups that found something"):to_be_at_least(100)
        expect(missing, "lookups that found nothing"):to_be_at_least(100)
        expect(overtaken, "lookups that a whole end overtook"):to_be_at_least(10)
        expect(stood, "instructions where one stood still, of " .. points):to_be_at_least(points // 3)
        orrery.note(string.format("stood still at %d of %d instructions", stood, points))
    end)
end)
