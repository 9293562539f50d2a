-- Takes CPUs away from threads at chosen instructions, for the scenarios beside it. What is done to the kernel in os/ is what
-- may happen to it anyway, only more often: an interrupt comes, and at its end another ready thread is found to be the better.
local preemption = {}

local PHYSMAP <const>, PHYSMAP_END <const> = -0x800000000000, -0x400000000000

local function ask_for_switch(m, thread)
    local at = thread:address() + thread:offsetof("need_resched")
    assert(at >= PHYSMAP and at < PHYSMAP_END, "a thread lies in the physical map")
    m:write_physical(at - PHYSMAP, "\1")
end

-- Watches a machine. In the result, interrupts counts those that came while an instruction of the range was next,
-- put_off those of them that found preemption off, switches those at whose end another thread went on, and places has the
-- instructions at which the CPU was taken away. nested counts interrupts that ended inside another one meanwhile, with a switch due.
function preemption.watch(m)
    local watch = { interrupts = 0, put_off = 0, nested = 0, switches = 0, places = {}, first = 1, last = 0 }
    local due, forced = {}, {} -- by CPU: the interrupt's end takes the CPU away; it is being taken away

    m:on_entry("trap_dispatch", function(cpu)
        local frame = m.sym("frame", m:register(cpu, "rdi"))
        local rip = frame.rip
        if frame.vector < 32 or rip < watch.first or rip > watch.last then return end
        watch.interrupts, due[cpu] = watch.interrupts + 1, rip
    end)
    m:on_entry("sched_preempt_from_interrupt", function(cpu)
        forced[cpu] = false
        local rip, here = due[cpu], m.sym("cpu", m:register(cpu, "gs_base"))
        local thread = here.current:deref()
        if not rip or thread.is_idle ~= 0 then return end
        ask_for_switch(m, thread)
        if here.irq_depth ~= 0 then
            watch.nested, forced[cpu] = watch.nested + 1, rip
        elseif thread.preempt_disable ~= 0 then
            watch.put_off, due[cpu] = watch.put_off + 1, false
        else
            forced[cpu], due[cpu] = rip, false
        end
    end)
    m:fail_call("run_queue_should_switch", 1, { always = true, when = function(cpu) return forced[cpu] end })
    m:on_entry("run_queue_add", function(cpu)
        if forced[cpu] then m:set_register(cpu, "rdx", m.sym.RUN_YIELDED) end
    end)
    m:on_entry("arch_thread_switch", function(cpu)
        if not forced[cpu] then return end
        watch.switches, watch.places[forced[cpu]], forced[cpu] = watch.switches + 1, true, false
    end)
    return watch
end

local function arm(m, watch, first, last, vector)
    watch.first, watch.last = first, last
    for cpu = 0, m:cpus() - 1 do m:interrupt_range(cpu, first, last, vector or m.kernel.harmless_vector) end
end

-- From now on, and until the next call, the instructions at these addresses are preceded by an interrupt that takes the CPU
-- away, on every CPU; it is the harmless one, or of this vector.
function preemption.at_range(m, watch, first, last, vector)
    watch.interrupts, watch.put_off, watch.nested, watch.switches, watch.places = 0, 0, 0, 0, {}
    arm(m, watch, first, last, vector)
end

function preemption.at_function(m, watch, name, vector)
    local first, size = assert(m:symbol(name))
    preemption.at_range(m, watch, first, first + size - 1, vector)
end

-- What was counted stays.
function preemption.stop(m, watch)
    arm(m, watch, 1, 0)
end

return preemption
