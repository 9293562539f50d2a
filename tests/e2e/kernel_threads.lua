-- Purpose: threads of programs while interrupts come at every instruction of what starts, ends, wakes and joins them, of a
-- program that has a pattern in each register, and under several schedules with late messages; their lists looked at from
-- outside at every change.
-- Expects: every test of threadtest passes; no count of threads ever differs from the length of its list; all frames back.
-- Options: --cpus N; --set before=HEX,HEX,... --set after=HEX,HEX,...: the addresses of the instructions of threadtest that
-- fill all registers, and of those that look at them, as kernel_threads.sh makes them.
-- covers: TH-06 (X), TH-11 (X), TH-12 (X), TH-12 (D)

local interrupts = require "interrupts"

local cpus = orrery.args.cpus or 4

local function booted(seed)
    return orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", engine = "timed", memory_model = "tso", seed = seed }:boot()
end

local function list_length(m, at)
    local length, node = 0, m.sym("list", at).next:value()
    while node ~= at do
        length = length + 1
        node = m.sym("list", node).next:value()
    end
    return length
end

-- Compares count and list of a process at the end of every change.
local function watch(m)
    local found = { changes = 0, wrong = 0 }
    local about = {}
    for _, name in ipairs { "process_add_thread_locked", "process_remove_thread_locked" } do
        m:on_entry(name, function(cpu) about[cpu] = m:register(cpu, "rdi") end)
        m:on_return(name, function(cpu)
            local process = m.sym("process", about[cpu])
            found.changes = found.changes + 1
            if process.thread_count ~= list_length(m, process.threads:address()) then found.wrong = found.wrong + 1 end
        end)
    end
    return found
end

local tests = "threads_start_and_are_joined the_number_of_threads_is_that_of_the_list exit_ends_all_threads_wherever_they_are " ..
    "fork_clones_the_calling_thread_alone of_several_execs_one_wins racing_exits_end_the_process_once " ..
    "processes_meet_at_a_word_of_a_shared_region conditions_pass_everything_on"

local LATE <const> = 60 -- of so many messages about every second comes late

-- What threads begin, wait and end with; of each the least number of instructions with interrupts on, and of their runs.
local lives <const> = {
    { "process_thread_create", 90, 4000 }, { "process_thread_exit", 22, 1000 }, { "process_thread_join", 50, 1200 },
    { "process_end_begin", 15, 100 }, { "process_end_others", 35, 30 }, { "futex_wait", 80, 15000 },
    { "futex_wake", 45, 10000 }, { "process_finish", 28, 150 },
}

-- Of the instructions of threadtest before or after its loop.
local function addresses(name)
    local code = {}
    for at in tostring(orrery.args[name] or ""):gmatch("%x+") do code[#code + 1] = tonumber(at, 16) end
    return #code > 0 and code or error("no addresses (--set " .. name .. "=HEX,HEX,...)", 2)
end

describe("threads", function()
    it("counts are the lengths of lists after every change", function()
        local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", memory_model = "sc" }:boot()
        local found = watch(m)
        for _ = 1, 2 do
            expect(m:command("threadtest " .. tests):wait({ within = orrery.seconds(60) }).status):to_be(0)
        end
        expect(found.changes, "changes of lists"):to_be_at_least(300)
        expect(found.wrong, "wrong counts"):to_be(0)
    end)

    for seed = 1, 2 do
        it("interrupts at every instruction of beginnings, waits and ends, seed " .. seed, function()
            local m = booted(seed)
            local handled, watches = 0, {}
            m:on_entry("sched_timer_interrupt", function() handled = handled + 1 end)
            for i, row in ipairs(lives) do
                watches[i] = interrupts.watch(m)
                interrupts.outside(m, watches[i], row[1], { m.sym.VECTOR_TIMER, m.kernel.harmless_vector })
            end
            local sent = m:count("apic-messages")
            for n = 0, LATE do
                if math.random(2) == 1 then m:delay_ipi(n, orrery.us(math.random(100))) end
            end
            expect(m:command("threadtest " .. tests):wait({ within = orrery.seconds(60) }).status):to_be(0)
            expect(handled, "interrupts"):to_be_at_least(400)
            expect(m:count("apic-messages") - sent, "messages between CPUs, the late ones among them"):to_be_above(LATE)
            for i, row in ipairs(lives) do interrupts.judge(watches[i], row[2], row[3]) end
        end)
    end

    for _, name in ipairs { "before", "after" } do
        local where = name .. " their loop"
        it("patterns in all registers survive an interrupt and perhaps a switch at every instruction " .. where, function()
            local m = booted(3)
            local watch = interrupts.watch(m)
            interrupts.inside(m, watch, { name = name, code = addresses(name) }, { m.sym.VECTOR_TIMER })
            for round = 1, 3 do
                local run = m:command("threadtest all_registers_survive_preemption_and_migration")
                expect(run:wait({ within = orrery.seconds(60) }).status, "round " .. round):to_be(0)
            end
            interrupts.judge(watch, #watch.code, 8000)
        end)
    end

    it("are switched by an assembly file and nothing that a compiler adds", function()
        local m = orrery.machine { kernel = "orrery", cpus = 1, memory = "64M" }:boot()
        local wanted = { "push rbp", "push rbx", "push r12", "push r13", "push r14", "push r15", "mov [rsi], rsp", "mov rsp, rdi",
            "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp", "ret" }
        for name, first in pairs { switch_context = 1, arch_stack_resume = 8 } do
            local at = assert(m:symbol(name))
            local function is(text)
                local seen, length = m:disassemble(at)
                expect(seen, name):to_be(text)
                expect(m:describe(at)):to_contain("arch/x86_64/entry.S")
                at = at + length
            end
            for i = first, #wanted do is(wanted[i]) end
        end
    end)
end)
