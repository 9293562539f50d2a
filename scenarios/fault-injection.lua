-- Purpose: the hooks that tests need: failing calls at entry and return, memory limits, stalls, late and lost IPIs, and
-- interrupts at every instruction of a function; the kernel survives each of them.
-- Expects: fork fails cleanly when an allocation fails; a limited machine still storms; shootdowns and wake-ups arrive.
-- covers: SC-24 (X: the address space)

local function booted(options)
    options.kernel, options.cpus = "orrery", options.cpus or orrery.args.cpus or 2
    return orrery.machine(options):boot()
end

local function storm(m, line)
    return m:command(line or "forkstorm --processes 60 --depth 3"):wait { within = orrery.seconds(10) }.status
end

describe("fault injection", function()
    it("a fork whose clone of the address space fails changes nothing", function()
        local m = booted {}
        m:ask("quiesce")
        local before, calls = m.kernel.frames.free, 0
        m:on_return("vm_clone", function() calls = calls + 1 end)
        m:fail_call("vm_clone", m.sym.STATUS_ERR_NO_MEMORY)
        expect(m:ask("run forkstorm --processes 4")):to_contain("error")
        m:ask("quiesce")
        expect(m.kernel.frames.free, "free frames"):to_be(before)
        expect(storm(m)):to_be(0)
        expect(calls, "clones that ran"):to_be_at_least(60)
    end)

    it("a limited machine reports less memory and storms", function()
        local m = booted { memory = "256M", memory_limit = "48M" }
        expect(m.kernel.frames.managed):to_be_at_most(49 * 256) -- the limit and the ACPI tables
        expect(storm(m)):to_be(0)
    end)

    it("late messages between CPUs only cost time", function()
        local m = booted { cpus = 4 }
        for n = 0, 40 do m:delay_ipi(n, orrery.us(20)) end
        expect(storm(m)):to_be(0)
    end)

    it("a stalled CPU only costs time", function()
        local m = booted { cpus = 4 }
        for cpu = 0, 3 do m:stall(cpu, m:register(cpu, "retired") + 1000 * (cpu + 1), orrery.us(300)) end
        expect(storm(m)):to_be(0)
    end)

    it("an interrupt at every instruction of fork is survived", function()
        local m = booted { cpus = 1 }
        local first, size = assert(m:symbol("process_fork"))
        local handled = 0
        m:on_entry("trap_dispatch", function() handled = handled + 1 end)
        m:interrupt_range(0, first, first + size - 1, m.kernel.harmless_vector)
        expect(storm(m, "forkstorm --processes 10 --depth 2")):to_be(0)
        expect(handled, "traps"):to_be_at_least(100)
    end)
end)
