-- Purpose: the in-kernel tests up to those of hotplug, then programs, in an image that keeps a list of the locks each CPU holds,
-- while interrupts come before every instruction of the functions that take locks: of each when it is called for the first time,
-- of one after the other later.
-- Expects: no interrupt is handled and no thread loses its CPU while it holds a lock, has preemption off or is in a read section;
-- every function leaves the interrupt flag as it found it; every test passes.
-- covers: IR-01 (X), IR-09 (X), IR-11 (X: under the lock validator)
local IF <const> = 1 << 9

local programs <const> = {
    "forkstorm --processes 6 --depth 2",
    "ipctest calls_are_answered_word_for_word a_channel_keeps_order_while_it_wraps a_revocation_wakes_who_waits regions_are_shared",
    "threadtest threads_start_and_are_joined a_mutex_lets_one_in",
    "selftest exec_replaces_the_program",
}

local function machine()
    return orrery.machine { kernel = "build/os/orrery-test.elf", initrd = "build/os/initrd.cpio", cpus = orrery.args.cpus or 2,
        memory = "256M" }
end

-- They take locks as nobody may, which is to be reported.
local planted <const> = { ktest_locks_in_the_wrong_order_are_reported = true,
    ktest_a_lock_of_interrupts_taken_with_interrupts_on_is_reported = true }

-- The functions into which spin_lock was inlined, in an order that follows the seed.
local function functions_with_locks(m)
    local known, names = {}, {}
    for _, range in ipairs(m:inlined("spin_lock")) do
        local name = m:describe(range.first):match("^[%w_]+")
        if not known[name] and not planted[name] and m:symbol(name) then
            known[name], names[#names + 1] = true, name
        end
    end
    for i = #names, 2, -1 do
        local j = math.random(i)
        names[i], names[j] = names[j], names[i]
    end
    return names
end

-- These leave the interrupt flag otherwise than they found it, which is what they are for.
local changes_the_flag <const> = { thread_started = true, cap_tree_lock = true, cap_tree_unlock = true }
local ENOUGH <const>, LONG <const> = 60, orrery.us(20)
local STUCK <const> = 1000

-- Gives the functions to the interrupts: one that nobody has seen yet at once, else one after the other, whenever one has had enough
-- of them or does not come up. STUCK interrupts elsewhere are one that calls itself, for it handles what it is: nothing else goes on.
local function wander(m, names)
    local at = { met = 0, index = 0, interrupts = 0, elsewhere = 0, handled = 0, flags = 0, wrong = {} }
    local open, probes, unmet = {}, {}, {}
    local function flag(cpu) return m:register(cpu, "rflags") & IF end
    local function take(name)
        local first, size = assert(m:symbol(name))
        at.first, at.last, at.interrupts, at.elsewhere = first, first + size - 1, 0, 0
        for cpu = 0, m:cpus() - 1 do m:interrupt_range(cpu, first, at.last, m.sym.VECTOR_RESCHEDULE) end
        for _, id in ipairs(probes) do m:unprobe(id) end
        probes = {
            m:on_entry(name, function(cpu) open[m:register(cpu, "rsp") + 8] = flag(cpu) end),
            m:on_return(name, function(cpu)
                local before = open[m:register(cpu, "rsp")]
                at.flags = at.flags + 1
                if before and before ~= flag(cpu) and not changes_the_flag[name] then at.wrong[#at.wrong + 1] = "interrupt flag of " .. name end
            end),
        }
    end
    function at.next()
        at.index = at.index % #names + 1
        take(names[at.index])
    end
    for _, name in ipairs(names) do
        unmet[name] = m:on_entry(name, function(cpu)
            if not unmet[name] then return end
            m:unprobe(unmet[name])
            unmet[name], at.met = nil, at.met + 1
            take(name)
            open[m:register(cpu, "rsp") + 8] = flag(cpu)
        end)
    end
    m:on_entry("trap_dispatch", function(cpu)
        local frame = m.sym("frame", m:register(cpu, "rdi"))
        if frame.vector < 32 then return end
        if m.sym.held[cpu].count ~= 0 then at.wrong[#at.wrong + 1] = "interrupt at " .. m:describe(frame.rip) end
        if frame.rflags & IF == 0 then at.wrong[#at.wrong + 1] = "interrupts were off at " .. m:describe(frame.rip) end
        at.handled = at.handled + 1
        if frame.rip >= at.first and frame.rip <= at.last then
            at.interrupts = at.interrupts + 1
        else
            at.elsewhere = at.elsewhere + 1
        end
        if at.interrupts > ENOUGH or at.elsewhere > STUCK then at.next() end
    end)
    return at
end

local function watch(m)
    local names = functions_with_locks(m)
    local at = wander(m, names)
    at.functions, at.switches, at.report = #names, 0, m.sym.report
    at.next()
    m:on_entry("arch_thread_switch", function(cpu)
        local here, from = m.sym.cpu_table[cpu], m.sym("thread", m:register(cpu, "rsi"))
        at.switches = at.switches + 1
        local stays = from.preempt_disable ~= 0 and from.state ~= m.sym.THREAD_DEAD -- one that ends never goes on
        if m.sym.held[cpu].count ~= 1 or here.rcu.nesting ~= 0 or stays then
            at.wrong[#at.wrong + 1] = "switch on CPU " .. cpu
        end
    end)
    return at
end

local function judge(at, met, switches)
    orrery.note(string.format("%d interrupts, %d of %d functions that take locks were met, %d switches, %d returns", at.handled,
        at.met, at.functions, at.switches, at.flags))
    expect(table.concat(at.wrong, ", ", 1, math.min(#at.wrong, 4))):to_be("")
    expect(at.met, "functions that take locks and were met"):to_be_at_least(met)
    expect(at.switches, "switches"):to_be_above(switches)
    expect(at.handled, "interrupts"):to_be_above(500)
    expect(at.report.breaches, "breaches that the lock validator has seen"):to_be(0)
end

it("nothing comes into a section that it must not come into, in the kernel's own tests", function()
    local m = machine()
    local at = watch(m)
    while not m:wait_text(0, "a_promised_deadline_keeps_its_cpu", m:cycles() + LONG) do
        at.next()
        expect(m:cycles(), "cycles"):to_be_below(orrery.seconds(2))
    end
    expect(m:console(0):find("not ok", 1, true) or 0, "place of a test that failed"):to_be(0)
    judge(at, 45, 1000)
end)

it("nothing comes into a section that it must not come into, under programs", function()
    local m = machine()
    m:fail_call("ktest_run_all", 0, { always = true }) -- the image then goes on as any other
    local at = watch(m)
    m:boot { until_text = "init: ready" }
    for _, line in ipairs(programs) do
        expect(m:command(line):wait().status, line):to_be(0)
    end
    judge(at, 85, 300)
end)
