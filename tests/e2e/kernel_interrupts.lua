-- Purpose: interrupts where they are least wanted: in the allocators with a handler that allocates, one in another, in every
-- section that holds a lock, at every instruction of a program that has a pattern in each register, and NMIs in the midst of a
-- switch from one thread to another.
-- Expects: locks are never held when an interrupt is handled, no handler is left for another thread, registers and stacks are
-- those of the thread that runs; everything comes back.
-- Options: --set part=N, one of the four parts alone; --set first=ADDRESS --set middle=ADDRESS --set last=ADDRESS: the function of threadtest that fills all registers, goes
-- round a loop at the instruction in the middle, and looks at them.
-- covers: HP-07 (X), IR-05 (X), IR-06 (X), IR-07 (X)
local borrow = require "borrow"
local interrupts = require "interrupts"
local preemption = require "preemption"

local IF <const> = 1 << 9

local args = orrery.args

-- A test of one of the parts.
local function check(part, name, body)
    if part == (args.part or part) then it(name, body) end
end

local function booted(cpus)
    return orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", memory_model = "sc" }:boot()
end

local function expect_same(m, before)
    for what, value in pairs(m.kernel.figures()) do expect(value, what):to_be(before[what]) end
end

local function storm(m)
    expect(m:command("forkstorm --processes 12 --depth 2"):wait { within = orrery.seconds(20) }.status, "the storm"):to_be(0)
end

local function this_cpu(m, cpu)
    return m.sym("cpu", m:register(cpu, "gs_base"))
end

-- Makes the handler of the harmless interrupt allocate and free in turns, while `on.most` allocations are allowed.
local function allocating_handler(m)
    local on = { most = 0, allocated = 0, freed = 0, twice = 0, failed = 0, held = {} }
    local owned, calling, sizes, back = {}, {}, { 24, 100, 500, 2000, 4096, 20000 }, nil
    m:on_entry("sched_reschedule_interrupt", function(cpu)
        if this_cpu(m, cpu).timer_stale ~= 0 then return end -- it has something to do
        if #on.held > 0 and (#on.held >= on.most or math.random(2) == 1) then
            local pointer = table.remove(on.held, math.random(#on.held))
            on.freed, owned[pointer] = on.freed + 1, nil
            m:set_register(cpu, "rdi", pointer)
            m:set_register(cpu, "rip", (assert(m:symbol("kheap_free"))))
        elseif on.most > 0 then
            calling[cpu] = true
            m:set_register(cpu, "rdi", sizes[math.random(#sizes)])
            m:set_register(cpu, "rip", (assert(m:symbol("kheap_alloc"))))
        else
            return
        end
        m:set_register(cpu, "rsi", 0)
        back = back or m:probe(string.unpack("<i8", assert(m:read(m:register(cpu, "rsp"), 8, cpu))), function(at)
            if not calling[at] then return end
            local pointer = m:register(at, "rax")
            calling[at] = false
            if pointer == 0 then
                on.failed = on.failed + 1
                return
            end
            if owned[pointer] then on.twice = on.twice + 1 end
            owned[pointer], on.held[#on.held + 1], on.allocated = true, pointer, on.allocated + 1
        end)
    end)
    return on
end

-- What is allocated and freed beside the storm, in place of a call of another function, with the CPUs' caches empty at first:
-- from the arenas, so that one is added, and more than an arena has.
local large <const> = { 5000, 1 << 20, 1 << 20, 20000, 1100000, 3 << 20 }

-- Returns a function that tells how many of these came.
local function allocate_large(m)
    local done, id = 0, nil
    id = m:on_entry("process_fork", function(cpu)
        if not id then return end
        m:unprobe(id)
        id = nil
        borrow.calls(m, cpu, function()
            local held = {}
            coroutine.yield { "frame_cpu_drain_all" }
            for i, size in ipairs(large) do held[i] = coroutine.yield { "kheap_alloc", size, 0 } end
            for i in ipairs(large) do
                coroutine.yield { "kheap_free", held[i], 0 }
                done = done + (held[i] ~= 0 and 1 or 0)
            end
        end)
    end)
    return function() return done end
end

-- Of each the least number of instructions with interrupts on, and of their runs: four fifths of what they were at the last
-- look (which branches the storm takes changes with the kernel).
local allocators <const> = {
    { "slab_alloc_sized", 64, 4400 }, { "slab_free_site", 24, 2000 }, { "kheap_alloc", 43, 310 }, { "kheap_free", 62, 270 },
    { "kheap_pages_alloc", 35, 200 }, { "kheap_pages_free", 32, 130 }, { "frame_alloc", 64, 8900 }, { "frame_free", 35, 35 },
    { "frame_put", 28, 6800 }, { "frame_alloc_contiguous", 52, 7300 }, { "frame_free_run_of", 43, 27900 }, { "add_arena", 41, 41 },
    { "frame_cpu_take", 16, 2700 }, { "frame_cpu_give", 16, 4300 },
}

check(1, "a handler may allocate and free at every instruction of the allocators", function()
    local m = booted(2)
    local handler, watch = allocating_handler(m), interrupts.watch(m)
    storm(m)
    local before = m.kernel.figures()
    for _, row in ipairs(allocators) do
        local name, instructions, runs = table.unpack(row)
        local allocated = handler.allocated
        handler.most = 60
        interrupts.inside(m, watch, name)
        local done = allocate_large(m)
        storm(m)
        interrupts.stop(m, watch)
        orrery.note(handler.allocated - allocated .. " allocations in interrupts of " .. name)
        expect(done(), "large allocations"):to_be(#large)
        interrupts.judge(watch, instructions, runs)
        expect(handler.allocated - allocated, "allocations in interrupts of " .. name):to_be_at_least(runs // 3)
    end
    handler.most = 0
    interrupts.inside(m, watch, "frame_alloc") -- for the handler to give back what it has
    storm(m)
    interrupts.stop(m, watch)
    expect(#handler.held, "allocations that the handler has"):to_be(0)
    expect(handler.twice, "allocations of what was not free"):to_be(0)
    expect(handler.failed, "allocations that failed"):to_be(0)
    expect_same(m, before)
end)

-- Three interrupts of rising priority; the kernel ignores the first two, the third asks it to look at its queue.
local rising <const> = { 0x50, 0x90, 0xf0 }

-- The kernel's handlers keep interrupts off. Here one that came for the first of `rising` has them on for an instruction, near
-- its end, when one of a higher priority is waiting, and that one does the same. Returns how many came at each depth.
local function nest(m)
    local seen = { 0, 0, 0, others = 0 }
    local nesting, opened = {}, {}
    local first, size = assert(m:symbol("lapic_end_of_interrupt"))
    m:on_entry("trap_dispatch", function(cpu)
        if m.sym("frame", m:register(cpu, "rdi")).vector == rising[1] then nesting[cpu], opened[cpu] = true, {} end
    end)
    local function set_flag(cpu, flag)
        m:set_register(cpu, "rflags", m:register(cpu, "rflags") & ~IF | flag)
    end
    m:probe(first, function(cpu)
        if not nesting[cpu] then return end
        local depth = this_cpu(m, cpu).irq_depth
        if opened[cpu][depth] then
            set_flag(cpu, 0)
            return
        end
        opened[cpu][depth], seen[depth] = true, seen[depth] + 1
        if depth == #rising then return end
        m:interrupt(cpu, rising[depth + 1])
        set_flag(cpu, IF)
    end)
    for address = first + 1, first + 15 do -- wherever the next instruction begins
        m:probe(address, function(cpu)
            if nesting[cpu] then set_flag(cpu, 0) end
        end)
    end
    m:on_entry("arch_thread_switch", function(cpu)
        if this_cpu(m, cpu).irq_depth ~= 0 then seen.others = seen.others + 1 end
    end)
    return seen
end

check(2, "interrupts in interrupts, three deep, switch to another thread when the outermost one ends and not before", function()
    local m = booted(2)
    storm(m)
    local before = m.kernel.figures()
    local seen, watch = nest(m), preemption.watch(m)
    for _, name in ipairs { "process_fork", "vm_fault", "process_exit", "frame_alloc" } do
        preemption.at_function(m, watch, name, rising[1])
        for depth = 1, 3 do seen[depth] = 0 end
        local side = m:command("forkstorm --processes 12 --depth 3")
        storm(m)
        expect(side:wait().status):to_be(0)
        orrery.note(string.format("%s: %d interrupts, %d in one, %d in two, %d asked for a switch in one, %d switches at the end", name,
            seen[1], seen[2], seen[3], watch.nested, watch.switches))
        expect(seen.others, "switches inside an interrupt"):to_be(0)
        expect(seen[3], "interrupts in two others"):to_be_above(100)
        expect(watch.nested, "ends inside another at which a switch was due"):to_be_above(100)
        expect(watch.switches, "switches at the end of the outermost"):to_be_above(50)
    end
    preemption.stop(m, watch)
    expect_same(m, before)
end)

local general <const> = { "rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "fs_base", "gs_base" }

-- What a program has in its registers where an interrupt leaves it, and where it goes on. At both, the stack of the kernel
-- has at `at` what the processor keeps there: RIP, CS, RFLAGS, RSP.
local function user_state(m, cpu, at)
    local state = {}
    for i, name in ipairs(general) do state[i] = m:register(cpu, name) end
    local rip, _, rflags, rsp = string.unpack("<i8i8i8i8", assert(m:read(m:register(cpu, "rsp") + at, 32, cpu)))
    state[#general + 1], state[#general + 2], state[#general + 3] = rip, rflags, rsp
    return table.concat(state, " "), rip
end

-- Compares each state that an interrupt of the watch leaves with that in which its thread goes on.
local function compare_states(m, watch)
    local seen = { same = 0, changed = 0 }
    local left = {} -- by thread
    m:on_entry("trap_common", function(cpu)
        local state, rip = user_state(m, cpu, 16)
        if rip < watch.first or rip > watch.last then return end
        left[m.kernel.current_thread(cpu)] = state
    end)
    m:on_entry("trap_iret", function(cpu)
        local thread = m.kernel.current_thread(cpu)
        local before, state, rip = left[thread], user_state(m, cpu, 0)
        if not before or rip < watch.first or rip > watch.last then return end
        left[thread] = nil
        local what = before == state and "same" or "changed"
        seen[what] = seen[what] + 1
    end)
    return seen
end

-- 8: of the loop. The third: the least number of instructions at which a thread lost its CPU.
for name, range in pairs {
    before = { args.first, (args.middle or 0) - 1, 160 }, after = { (args.middle or 0) + 8, args.last, 300 },
} do
    check(3, "every register is kept when a thread loses its CPU at each instruction " .. name .. " the loop of its pattern", function()
        local m = booted(2)
        local watch = preemption.watch(m)
        local seen = compare_states(m, watch)
        preemption.at_range(m, watch, range[1], range[2])
        expect(m:command("threadtest all_registers_survive_preemption_and_migration"):wait().status):to_be(0)
        local places = 0
        for _ in pairs(watch.places) do places = places + 1 end
        orrery.note(string.format("%d switches at %d instructions, %d states kept", watch.switches, places, seen.same))
        expect(seen.changed, "states that changed"):to_be(0)
        expect(seen.same, "states that were kept"):to_be_above(1000)
        expect(places, "instructions at which a thread lost its CPU"):to_be_at_least(range[3])
    end)
end

-- What leads from one thread to another, from its beginning up to that of the next: with interrupts off throughout. The end of
-- message_resume has the user's stack already.
local LEAVES <const> = "message_resume"
local switching <const> = { { "switch_context", LEAVES }, { LEAVES, "thread_bare" }, { "arch_thread_switch" }, { "switch_to" },
    { "switch_away" }, { "thread_switched" }, { "ipc_fast_call" }, { "ipc_fast_reply" } }
local STACK_BYTES <const> = 16384

-- Counts the NMIs that come between two instructions of a range, and those that find the stack of a third thread in use.
local function watch_stacks(m)
    local seen = { nmis = 0, wrong = 0, others = 0, first = 1, last = 0 }
    local left, taken = {}, {} -- by CPU: the thread that is being left, and the one that is being entered
    local function enter(cpu)
        left[cpu] = this_cpu(m, cpu).current.stack_top
    end
    for _, name in ipairs { "switch_away", "ipc_fast_call", "ipc_fast_reply" } do m:on_entry(name, enter) end
    m:on_entry("arch_thread_switch", function(cpu)
        left[cpu], taken[cpu] = m.sym("thread", m:register(cpu, "rsi")).stack_top, m.sym("thread", m:register(cpu, "rdx")).stack_top
    end)
    local function on_stack(rsp, top)
        return top and rsp <= top and rsp > top - STACK_BYTES
    end
    m:on_entry("trap_dispatch_ist", function(cpu)
        local frame = m.sym("frame", m:register(cpu, "rdi"))
        if frame.rip < seen.first or frame.rip > seen.last then return end
        if not left[cpu] then return end -- it was in a switch already when this began to watch
        seen.nmis = seen.nmis + 1
        local current = m.sym.cpu_table[cpu].current.stack_top
        local users = seen.range == LEAVES and frame.rsp > 0 -- the kernel's half is negative
        if not (users or on_stack(frame.rsp, current) or on_stack(frame.rsp, left[cpu]) or on_stack(frame.rsp, taken[cpu])) then
            seen.wrong = seen.wrong + 1
        end
    end)
    m:on_entry("trap_dispatch", function(cpu)
        local frame = m.sym("frame", m:register(cpu, "rdi"))
        if frame.rip >= seen.first and frame.rip <= seen.last then seen.others = seen.others + 1 end
    end)
    return seen
end

local CALLS <const> = "ipctest messages_go_from_registers_to_registers a_revocation_wakes_who_came_the_short_way"

check(4, "a switch is a single step for interrupts, and NMIs at each instruction of it change nothing", function()
    local m = booted(2)
    local function load()
        storm(m)
        expect(m:command(CALLS):wait { within = orrery.seconds(20) }.status, "the messages"):to_be(0)
    end
    load()
    local before, seen = m.kernel.figures(), watch_stacks(m)
    for _, range in ipairs(switching) do
        local first, size = assert(m:symbol(range[1]))
        local last = range[2] and assert(m:symbol(range[2])) - 1 or first + size - 1
        seen.first, seen.last, seen.nmis, seen.range = first, last, 0, range[1]
        for _, vector in ipairs { 256, m.kernel.harmless_vector } do
            for cpu = 0, 1 do m:interrupt_range(cpu, first, last, vector) end
            load()
        end
        orrery.note(seen.nmis .. " NMIs in " .. range[1])
        expect(seen.nmis, "NMIs in " .. range[1]):to_be_above(500)
        expect(seen.wrong, "NMIs that found another stack"):to_be(0)
        expect(seen.others, "interrupts that were handled in " .. range[1]):to_be(0)
    end
    for cpu = 0, 1 do m:interrupt_range(cpu, 1, 0, 256) end
    expect_same(m, before)
end)
