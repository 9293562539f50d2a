-- Purpose: races and shortages of the kernel, provoked: ends of threads that are late, memory that only the dead hold, calls
-- that fail, interrupts between any two instructions, CPUs that stand still, messages that come late.
-- Expects: no panic, and every frame back; where nothing was made to fail, every exit status right.
-- Options: --cpus N, --set processes=N.
-- covers: BT-10 (X), SC-24 (X: memory, in a storm of forks), VM-03 (late messages, CPUs that stand still), IR-07 (NMI at the entries), TS-10 (X)

local interrupts = require "interrupts"

local cpus, processes = orrery.args.cpus or 4, orrery.args.processes or 60

local function booted()
    return orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", engine = "timed", memory_model = "tso" }:boot()
end

local function storm(m, started)
    local command = m:command(string.format("forkstorm --processes %d --depth 3", processes))
    if started then started() end
    return command:wait { within = orrery.seconds(10) }.status
end

-- When nobody but init and the name server lives (a storm whose root was killed has orphans) and nothing is held back.
local function free_frames(m)
    local deadline = m:cycles() + orrery.seconds(2)
    while m:ask("stats", { until_line = "end" }):match("processes (%d+)") ~= "2" and m:cycles() < deadline do
        m:run(orrery.ms(1))
    end
    m:ask("quiesce")
    return m.kernel.frames.free
end

-- Calls of these fail with this value: everything that takes memory.
local shortages = {
    { "frame_alloc", "STATUS_ERR_NO_MEMORY" }, { "kheap_pages_alloc" }, { "slab_alloc_sized" }, { "frame_cache_alloc", "STATUS_ERR_NO_MEMORY" },
    { "kmap_stack_alloc", "STATUS_ERR_NO_MEMORY" }, { "vm_space_init", "STATUS_ERR_NO_MEMORY" },
    { "pt_map", "STATUS_ERR_NO_MEMORY" }, { "vm_fault", "STATUS_ERR_NO_MEMORY" },
}

-- Of each the least number of instructions with interrupts on, and of their runs.
local interrupted = {
    { "process_exit", 6, 100 }, { "sched_block", 18, 500 }, { "sched_wake", 15, 250 }, { "shootdown_flush", 15, 1500 },
    { "process_exec", 80, 100 }, { "process_wait", 55, 600 }, { "vm_fault", 55, 5000 }, { "wait_queue_wake_all", 12, 350 },
    { "kmap_stacks_free", 45, 600 },
    { "arch_space_load", 75 }, { "reaper_add", 45 }, -- all with interrupts off: they wait until it has ended
}

local STRAY <const> = 0xfe -- the kernel ignores it, nothing else sends it, and none comes before it

describe("hunt", function()
    it("quiesce waits for a thread whose process was seen to end", function()
        local m = booted()
        local before = free_frames(m)
        m:on_entry("sched_exit", function(cpu) m:stall(cpu, m:register(cpu, "retired") + 1, orrery.ms(100)) end)
        m:command("selftest none"):wait()
        expect(free_frames(m), "free frames"):to_be(before)
    end)

    it("a page fault without memory is served with what the dead hold", function()
        local m = booted()
        local before, failed, calls, last = free_frames(m), 0, 0, 0
        m:fail_call("vm_fault", m.sym.STATUS_ERR_NO_MEMORY, { always = true, when = function()
            calls = calls + 1
            local fails = failed < 3 and m.sym.handed_over > m.sym.freed and calls > last + 20 -- not the second try
            if fails then failed, last = failed + 1, calls end
            return fails
        end })
        expect(storm(m)):to_be(0)
        expect(failed, "faults that failed"):to_be(3)
        expect(free_frames(m), "free frames"):to_be(before)
    end)

    it("a CPU that finds no memory waits for another one that makes some", function()
        local m = booted()
        local before, user, none = free_frames(m), m.sym.FRAME_OWNER_USER, m.sym.STATUS_ERR_NO_MEMORY & (1 << 32) - 1
        local failed, waited, refused, on = {}, 0, 0, true
        m:fail_call("frame_alloc", none, { always = true, when = function(cpu) -- every first try for a user page
            if m:register(cpu, "rsi") & 0xffffffff ~= user then return false end
            local pid = m:register(cpu, "rdx") & 0xffffffff
            failed[pid] = on and not failed[pid]
            return failed[pid]
        end })
        local trims = {}
        m:on_entry("slab_trim", function(cpu)
            trims[cpu] = true
            m:stall(cpu, m:register(cpu, "retired") + 1, orrery.us(20))
        end)
        m:on_return("pressure_shrink", function(cpu) -- who has trimmed has always found something
            if trims[cpu] then m:set_register(cpu, "rax", 1) end
            trims[cpu] = false
        end)
        m:on_entry("vm_relax", function() waited = waited + 1 end)
        m:on_return("vm_fault", function(_, _, rax)
            if rax & 0xffffffff == none then refused = refused + 1 end
        end)
        expect(storm(m)):to_be(0)
        expect(waited, "rounds of waiting"):to_be_at_least(1)
        expect(refused, "faults without memory"):to_be(0)
        on = false
        expect(free_frames(m), "free frames"):to_be(before)
    end)

    for _, shortage in ipairs(shortages) do
        it("a shortage in " .. shortage[1] .. " is survived", function()
            local m = booted()
            local before, calls, every, on = free_frames(m), 0, 5 + math.random(20), false
            m:fail_call(shortage[1], shortage[2] and m.sym[shortage[2]] or 0, { always = true, when = function()
                calls = calls + (on and 1 or 0)
                return on and calls % every == 0
            end })
            storm(m, function() on = true end)
            on = false
            expect(calls, "calls"):to_be_at_least(every)
            expect(free_frames(m), "free frames"):to_be(before)
        end)
    end

    for _, row in ipairs(interrupted) do
        local name, instructions, runs = table.unpack(row)
        it("an interrupt at every instruction of " .. name .. " is survived", function()
            local m = booted()
            local before, watch = free_frames(m), interrupts.watch(m)
            for _, vectors in ipairs { { m.kernel.harmless_vector, m.sym.VECTOR_TIMER }, not runs and { STRAY } or nil } do
                interrupts.inside(m, watch, name, vectors)
                expect(storm(m)):to_be(0)
                expect(free_frames(m), "free frames"):to_be(before)
                if runs then
                    interrupts.judge(watch, instructions, runs)
                else
                    interrupts.judge_closed(watch, instructions)
                end
            end
        end)
    end

    -- How many CPUs run when the last one stands still that long in the middle of its start.
    local function online_after(stall)
        local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", engine = "timed", memory_model = "tso" }
        m:on_entry("lapic_enable_on_this_cpu", function(cpu)
            if cpu == cpus - 1 then m:stall(cpu, m:register(cpu, "retired") + 1, stall) end
        end)
        m:boot()
        m:run(orrery.ms(1600))
        local before = free_frames(m)
        expect(storm(m)):to_be(0)
        expect(free_frames(m), "free frames"):to_be(before)
        return m.sym.cpus_online
    end

    -- Where stack, GS base or address space are not yet, or no longer, the kernel's.
    for _, range in ipairs { { "syscall_entry", "user_copy_raw" }, { "trap_common", "trap_dispatch_return" },
        { "trap_return", "trap_iret" }, { "user_copy_raw", "panic" } } do
        it("a stray NMI at every instruction from " .. range[1] .. " to " .. range[2] .. " is harmless", function()
            local m = booted()
            local before, taken = free_frames(m), 0
            local first, stop = assert(m:symbol(range[1])), assert(m:symbol(range[2]))
            local all, at = 0, first
            while at < stop do
                local text, length = m:disassemble(at)
                if not text:find("^nop") then all = all + 1 end
                at = at + length
            end
            local hit, hits = {}, 0
            m:on_entry("trap_dispatch_ist", function(cpu)
                local rip = m.sym("frame", m:register(cpu, "rdi")).rip
                taken = taken + 1
                if not hit[rip] and first <= rip and rip < stop then hit[rip], hits = true, hits + 1 end
            end)
            for cpu = 0, m:cpus() - 1 do m:interrupt_range(cpu, first, stop - 1, 256) end
            local line = "selftest registers_survive_a_call flags_stay_the_program_s exec_replaces_the_program"
            expect(m:command(line):wait().status):to_be(0)
            expect(storm(m)):to_be(0)
            expect(m:command("threadtest all_registers_survive_preemption_and_migration"):wait().status):to_be(0)
            expect(m:command("ipctest calls_are_answered_word_for_word messages_go_from_registers_to_registers"):wait().status):to_be(0)
            expect(taken, "NMIs"):to_be_at_least(1000)
            expect(hits, "instructions with an NMI before them, of " .. all):to_be_at_least(all // 2)
            orrery.note(string.format("%d NMIs at %d of %d instructions", taken, hits, all))
            expect(free_frames(m), "free frames"):to_be(before)
        end)
    end

    it("a start-up message that is lost costs time, not a CPU", function()
        local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", engine = "timed", memory_model = "tso" }
        m:lose_ipi(1) -- after INIT, the first start-up message of the first processor
        local ordered = 0
        m:on_entry("lapic_send_startup", function() ordered = ordered + 1 end)
        m:boot()
        expect(m.sym.cpus_online, "CPUs"):to_be(cpus)
        expect(ordered, "start-up messages"):to_be(cpus)
    end)

    it("a CPU that stands still in its start is waited for or left out, never both", function()
        expect(online_after(orrery.ms(750)), "CPUs after 750 ms"):to_be(cpus)
        expect(online_after(orrery.ms(1400)), "CPUs after 1400 ms"):to_be(cpus - 1)
    end)

    it("CPUs that stand still and messages that come late only cost time", function()
        local m = booted()
        local before = free_frames(m)
        for n = 0, 50 do
            if math.random(2) == 1 then m:delay_ipi(n, orrery.us(math.random(200))) end
        end
        for cpu = 0, m:cpus() - 1 do
            local at = m:register(cpu, "retired")
            for _ = 1, 64 // m:cpus() do
                at = at + math.random(20000)
                m:stall(cpu, at, orrery.us(math.random(500)))
            end
        end
        expect(storm(m)):to_be(0)
        expect(free_frames(m), "free frames"):to_be(before)
    end)
end)
