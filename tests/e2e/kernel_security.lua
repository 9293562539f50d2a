-- Purpose: what programs cannot see or change, with the eyes of the machine: the table of their capabilities, memory and registers
-- that others had before.
-- Expects: a program that knows where its table lies reads and writes nothing of it; memory comes empty where most of it had
-- other owners; registers of a thread are cleared before anybody runs who has not asked for registers.

local function booted(options)
    options.kernel = "orrery"
    return orrery.machine(options):boot()
end

local function process_on(m, cpu)
    local process = m.kernel.current_process(cpu)
    return process:value() ~= 0 and process or nil
end

-- covers: CP-02 (S: its own table)
it("a program that knows where its capabilities lie can neither read nor write them", function()
    local m = booted { cpus = 2, memory = "64M" }
    local RECORD <const> = m.sym("capability", 0):sizeof()
    local FIRST <const> = 32 -- slot that is not well known
    local told, before, pid = nil, nil, nil
    m:on_return("invoke_getppid", function(cpu)
        local process = process_on(m, cpu)
        if told or not process or process.name:string() ~= "captest" then return end
        local leaf = string.unpack("<i8", assert(m:read(process.caps.root:value(), 8, cpu)))
        for slot = FIRST, 127 do
            local at = leaf + slot * RECORD
            local record = assert(m:read(at, RECORD, cpu))
            if string.unpack("<i8", record) ~= 0 then told, before, pid = at, record, process.pid.number end
        end
        m:set_register(cpu, "rax", told)
    end)
    local after
    m:on_entry("process_exit", function(cpu)
        local process = process_on(m, cpu)
        if told and process and process.pid.number == pid then after = m:read(told, RECORD, cpu) end
    end)
    expect(m:command("captest --table"):wait().status):to_be(0)
    expect(told ~= nil, "the program was told"):to_be(true)
    expect(after == before, "the record is what it was"):to_be(true)
end)

-- covers: TS-05 (S)
it("memory that most of had other owners comes empty", function()
    local m = booted { cpus = 2, memory = "32M" }
    expect(m.kernel.frames.free, "free frames, of which captest takes more than half each time"):to_be_below(14000)
    expect(m:command("captest memory_of_the_dead_is_empty"):wait { within = orrery.seconds(10) }.status):to_be(0)
end)

-- covers: TS-05 (S)
it("no registers of another thread are left when nobody has asked for them", function()
    local TS <const>, NOTHING <const> = 8, ("\0"):rep(16)
    local m = booted { cpus = 2, memory = "64M" }
    local used, looked, left = {}, 0, 0
    local function look(cpu)
        local any = false
        for number = 0, 15 do any = any or m:xmm(cpu, number) ~= NOTHING end
        if m:register(cpu, "cr0") & TS == 0 then
            used[cpu] = used[cpu] or any
        elseif used[cpu] then
            looked, left, used[cpu] = looked + 1, left + (any and 1 or 0), false
        end
    end
    m:on_entry("syscall_dispatch", look)
    m:on_entry("trap_dispatch", look)
    expect(m:command("threadtest all_registers_survive_preemption_and_migration"):wait { within = orrery.seconds(10) }.status):to_be(0)
    expect(m:command("selftest vector_state_survives_preemption"):wait { within = orrery.seconds(20) }.status):to_be(0)
    orrery.note(string.format("%d times somebody's registers had become nobody's", looked))
    expect(looked, "times that somebody's registers had become nobody's"):to_be_at_least(10)
    expect(left, "registers that were left"):to_be(0)
end)
