-- The kernel measures its clock while the processor is taken away between two instructions: the frequency stays right.

local function frequency(step)
    local m = orrery.machine { kernel = "orrery", cpus = 1, memory = "64M", cpu = "tcg72" } -- no CPUID leaf tells it
    local begun, measured = false, false
    m:on_entry("lapic_timer_start", function(cpu) -- the first step of the measurement
        if begun then return end
        begun = true
        m:stall(cpu, m:register(cpu, "retired") + step, orrery.ms(20))
    end)
    m:on_entry("clock_enable_on_this_cpu", function()
        measured = true
        m:stop()
    end)
    m:run(orrery.ms(100))
    expect(measured, "the clock is measured"):to_be(true)
    expect(m.sym.timebase.timer_hz, "timer"):to_be_above(0)
    return m.sym.timebase.tsc_hz
end

it("a stall of 20 ms at any instruction of the first sample does no harm", function()
    for step = 1, 60 do
        local hz = frequency(step)
        expect(math.abs(hz - 3000000000), "error in Hz with a stall at step " .. step):to_be_below(3000000)
    end
end)
