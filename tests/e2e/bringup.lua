-- Bringing up processors, and the banner, through PVH and with a block of the scenario's: 2 to 16 CPUs reach idle, a start-up
-- message that is late or lost leads to the second one or to the time-out, and a timer interrupt at every instruction of the
-- statistics does not hang the banner.
-- covers: BT-10, BT-10 (X), BT-12, BT-12 (X)

local interrupts = require "interrupts"
local handoff = require "kernels.handoff"

-- What the banner calls, and what its snapshot does; of each the least number of instructions with interrupts on, and of their
-- runs. The interrupt itself looks at the free frames, and changes the times that are read again then.
local statistics = {
    { "stats_snapshot", interrupts.inside, 130, 200 },
    { "kheap_stats_read", interrupts.inside, 50, 60 },
    { "dma_frames", interrupts.inside, 2, 2 },
    { "frame_free_count", interrupts.outside, 30, 200 },
    { "process_totals_read", interrupts.inside, 12, 12 },
    { "sched_totals_read", interrupts.inside, 40, 50 },
    { "sched_times_read", interrupts.once, 38, 100 },
    { "add_counts", interrupts.inside, 20 }, -- all with interrupts off: they wait until it has ended
    { "kvsnprintf", interrupts.inside, 150, 3000 },
    { "console_printf", interrupts.inside, 20, 200 },
    { "uart_write", interrupts.inside, 20, 200 },
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

        for _, row in ipairs(statistics) do
            local name, interrupt, instructions, runs = table.unpack(row)
            it("the banner prints with a timer interrupt at every instruction of " .. name, function()
                local m = machine(2, way)
                local watch, told, at = interrupts.watch(m), nil, nil
                local armed
                armed = m:on_entry("banner_print", function()
                    m:unprobe(armed)
                    interrupt(m, watch, name, { m.sym.VECTOR_TIMER })
                end)
                m:on_entry("stats_snapshot", function(cpu) at = m:register(cpu, "rdi") end)
                m:on_return("stats_snapshot", function() told = told or m.sym("system_stats", at).threads end)
                m:boot { within = orrery.ms(50) }
                if runs then
                    interrupts.judge(watch, instructions, runs)
                else
                    interrupts.judge_closed(watch, instructions)
                end
                expect(m:console(0)):to_contain("\nthreads: " .. told)
            end)
        end
    end)
end
