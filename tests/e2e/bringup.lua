-- Bringing up processors, and the banner, through PVH and with a block of the scenario's: 2 to 16 CPUs reach idle, a start-up
-- message that is late or lost leads to the second one or to the time-out, and a timer interrupt at every instruction of the
-- statistics does not hang the banner.
-- covers: BT-10, BT-10 (X), BT-12, BT-12 (X)

local handoff = require "kernels.handoff"

-- A timer interrupt at every instruction of a function, but for those that the interrupt itself executes: its own look at
-- the free frames would raise the next one for ever.
local function interrupt_outside(m, name)
    local first, size = assert(m:symbol(name))
    local raised = {}
    for at = first, first + size - 1 do
        m:probe(at, function(cpu)
            if m:register(cpu, "rflags") & 0x200 == 0 then return end
            if raised[cpu] == at then -- back from the interrupt
                raised[cpu] = nil
            else
                raised[cpu] = at
                m:interrupt(cpu, m.sym.VECTOR_TIMER)
            end
        end)
    end
end

local function interrupt_inside(m, name)
    local first, size = assert(m:symbol(name))
    for cpu = 0, m:cpus() - 1 do m:interrupt_range(cpu, first, first + size - 1, m.sym.VECTOR_TIMER) end
end

local statistics = {
    stats_snapshot = interrupt_inside, process_totals_read = interrupt_inside, frame_free_count = interrupt_outside,
    frame_stats_read = interrupt_inside, kvsnprintf = interrupt_inside,
}

local function machine(cpus, way)
    local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", engine = "timed", memory_model = "tso" }
    if way == "handoff" then handoff.loader(m):enter() end
    return m
end

for _, way in ipairs { "PVH", "handoff" } do
    describe("through " .. way, function()
        for _, cpus in ipairs { 2, 4, 8, 16 } do
            it(cpus .. " CPUs reach idle", function()
                local m = machine(cpus, way)
                local sent, took, idle, idles = 0, {}, {}, 0
                m:on_entry("lapic_send_init", function(_, cycle) sent = cycle end)
                m:on_entry("cpu_mark_online", function(cpu, cycle) took[cpu] = cycle - sent end)
                m:on_entry("sched_idle", function(cpu)
                    idles = idles + (idle[cpu] and 0 or 1)
                    idle[cpu] = true
                end)
                m:boot()
                expect(m.sym.cpus_online):to_be(cpus)
                expect(idles, "CPUs that idle"):to_be(cpus)
                for cpu = 1, cpus - 1 do
                    orrery.note(string.format("cpu %d: %s from INIT to online", cpu, orrery.duration(took[cpu])))
                    expect(took[cpu]):to_be_below(orrery.ms(1))
                end
            end)
        end

        -- The first processor's INIT is message 0, its start-up messages are 1 and 2.
        local function started(fault)
            local m, orders = machine(4, way), 0
            m:on_entry("lapic_send_startup", function() orders = orders + 1 end)
            fault(m)
            m:boot()
            return m.sym.cpus_online, orders, m:console(0)
        end

        it("a start-up message that is lost is sent again", function()
            local online, orders = started(function(m) m:lose_ipi(1) end)
            expect(online):to_be(4)
            expect(orders):to_be(4)
        end)

        it("a start-up message that is late is sent again and does no harm", function()
            local online, orders = started(function(m) m:delay_ipi(1, orrery.us(300)) end)
            expect(online):to_be(4)
            expect(orders):to_be(4)
        end)

        it("a processor whose start-up messages are both lost is given up on", function()
            local online, orders, text = started(function(m) m:lose_ipi(1) m:lose_ipi(2) end)
            expect(online):to_be(3)
            expect(orders):to_be(4)
            expect(text):to_contain("cpu: the processor with APIC number 1 does not start")
        end)

        for name, interrupt in pairs(statistics) do
            it("the banner prints with a timer interrupt at every instruction of " .. name, function()
                local m = machine(2, way)
                local inside, taken, told, at = 0, 0, nil, nil
                interrupt(m, name)
                m:on_entry(name, function() inside = inside + 1 end)
                m:on_entry("trap_dispatch", function() taken = taken + 1 end)
                m:on_entry("stats_snapshot", function(cpu) at = m:register(cpu, "rdi") end)
                m:on_return("stats_snapshot", function() told = told or m.sym("system_stats", at).threads end)
                m:boot { within = orrery.ms(50) }
                expect(inside, "calls"):to_be_above(0)
                expect(taken, "interrupts"):to_be_above(10)
                expect(m:console(0)):to_contain("\nthreads: " .. told)
            end)
        end
    end)
end
