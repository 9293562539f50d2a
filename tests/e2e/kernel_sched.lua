-- The scheduler and processors, looked at from outside: ticks, switches, wake-ups, CPUs that are off, nodes, threads that
-- cannot be made.

local disturb = require "disturb"

local function booted(options)
    options.kernel, options.memory = "orrery", options.memory or "64M"
    return orrery.machine(options):boot()
end

-- The in-kernel tests, whose image keeps a list of the locks that each CPU holds.
local function kernel_tests(cpus)
    return orrery.machine { kernel = "build/os/orrery-test.elf", initrd = "build/os/initrd.cpio", cpus = cpus, memory = "256M" }
end

describe("time", function()
    -- covers: PR-03
    it("a busy CPU takes 1,000 ticks in 10 seconds, at multiples of 10 ms", function()
        local m = booted { cpus = 1 }
        local period <const> = orrery.ms(10)
        local cpu, seen, early, late = m.sym.cpu_table[0], nil, period, 0
        m:command("schedmix --ms 10500 shares_follow_weights") -- three that spin
        m:run(orrery.ms(100))
        m:on_entry("sched_timer_interrupt", function(number, cycle) -- what lies between two ticks is not simulated
            local rest = period - cycle % period - orrery.us(20)
            if rest > 0 then m:stall(number, m:register(number, "retired") + 500, rest) end
        end)
        m:on_return("sched_timer_interrupt", function(_, cycle)
            if seen and cpu.ticks ~= seen then early, late = math.min(early, cycle % period), math.max(late, cycle % period) end
            seen = cpu.ticks
        end)
        local before = cpu.ticks
        m:run(orrery.seconds(10))
        expect(cpu.ticks - before, "ticks"):to_be(1000)
        expect(late - early, "cycles between the earliest and the latest in their period"):to_be_below(orrery.us(1))
    end)

    -- covers: SM-02, SC-21 (wake latency)
    it("a CPU that sleeps runs a thread within 5 us of its start elsewhere", function()
        local m, started, latency = kernel_tests(4), {}, orrery.histogram("wake_to_run")
        m:on_entry("sched_start_on", function(cpu, cycle)
            local to = m:register(cpu, "rsi") & 0xffffffff
            started[to] = to ~= cpu and cycle or nil
        end)
        m:on_entry("note_cpu", function(cpu, cycle)
            if started[cpu] then latency:add(cycle - started[cpu]) end
        end)
        expect(m:wait_text(0, "an_idle_cpu_is_woken_by_an_interrupt", orrery.seconds(20))):to_be(true)
        orrery.note(latency:row())
        expect(latency:count()):to_be(3)
        expect(latency:max()):to_be_below(orrery.us(5))
    end)
end)

-- covers: SC-03 (X: lock trace), IR-05 (X: depth), IR-09 (X: switches)
it("a CPU chooses from its own queue under that queue's lock alone, or empties that of one that goes; so it switches", function()
    local m, choices, switches = kernel_tests(4), 0, 0
    local held, cpus, wrong = m.sym.held, m.sym.cpu_table, {}
    local function check(cpu, owner, what)
        local lock = cpus[owner].queue.lock:address()
        if held[cpu].count ~= 1 or held[cpu].locks[0]:value() ~= lock or cpus[cpu].irq_depth ~= 0 then
            wrong[#wrong + 1] = what .. " on CPU " .. cpu
        end
    end
    m:on_entry("run_queue_take", function(cpu)
        local queue, owner = m:register(cpu, "rdi"), 0
        while cpus[owner].queue:address() ~= queue do owner = owner + 1 end
        choices = choices + 1
        if owner ~= cpu and cpus[owner].draining == 0 then wrong[#wrong + 1] = "another CPU's queue on " .. cpu end
        check(cpu, owner, "choice")
    end)
    m:on_entry("switch_context", function(cpu)
        switches = switches + 1
        check(cpu, cpu, "switch")
    end)
    expect(m:wait_text(0, "a_hundred_cycles_of_hotplug", orrery.seconds(20))):to_be(true)
    expect(table.concat(wrong, ", ", 1, math.min(#wrong, 3))):to_be("")
    expect(choices):to_be_above(1000)
    expect(switches):to_be_above(1000)
end)

-- covers: SC-03 (X)
it("nobody changes the queue of a CPU that is off", function() -- its lock protects who waits and was there last
    local m = booted { cpus = 4 }
    local kept, compared, changed = {}, 0, {}
    local function queue_of(address)
        local queue = m.sym("cpu", address).queue
        local lock_bytes = queue.lock:sizeof()
        return assert(m:read(queue:address() + lock_bytes, queue:sizeof() - lock_bytes))
    end
    m:on_entry("cpu_mark_leaving", function(cpu) kept[m:register(cpu, "rdi")] = true end)
    m:on_entry("hotplug_walk", function(cpu)
        local address, up = m:register(cpu, "rcx"), m:register(cpu, "rdx") & 0xff ~= 0
        if up and kept[address] then
            compared = compared + 1
            if queue_of(address) ~= kept[address] then changed[#changed + 1] = m.sym("cpu", address).id end
            kept[address] = nil
        end
    end)
    m:on_entry("arch_stop_for_ever", function(cpu) -- its last steps, after all that is said about it
        local address = m.sym.cpu_table[cpu]:value()
        if kept[address] then kept[address] = queue_of(address) end
    end)
    local loads = { m:command("hotplug --cycles 60 --pause-us 500"), m:command("forkstorm --processes 200 --depth 3") }
    for _, load in ipairs(loads) do expect(load:wait().status, load.line):to_be(0) end
    expect(#changed, "queues that changed"):to_be(0)
    expect(compared):to_be_above(30)
end)

-- covers: SM-10
for _, nodes in ipairs { 2, 4 } do
    it("CPUs and memory belong to the " .. nodes .. " nodes that the tables name", function()
        local m = booted { cpus = 8, numa = nodes, memory = "256M" }
        local manager, sum = m.sym.frame_manager, 0
        expect(manager.node_count):to_be(nodes)
        for cpu = 0, 7 do expect(m.sym.cpu_table[cpu].node, "node of CPU " .. cpu):to_be(cpu * nodes // 8) end
        for node = 0, nodes - 1 do
            local frames, zones = 0, manager.nodes[node].zones
            for zone = 0, #zones - 1 do frames = frames + zones[zone].managed_frames end
            expect(frames, "frames of node " .. node):to_be_at_most(65536 // nodes)
            expect(frames, "frames of node " .. node):to_be_above(65536 // nodes * 8 // 10)
            sum = sum + frames
        end
        expect(sum):to_be(m.kernel.frames.managed)
    end)
end

local NULL <const> = 0
local fork_steps = {
    { "process_make", NULL }, { "cap_space_clone", NULL }, { "thread_create", "STATUS_ERR_NO_MEMORY" },
    { "kmap_stack_alloc", "STATUS_ERR_NO_MEMORY" }, { "space_block_alloc", NULL }, { "vm_clone", "STATUS_ERR_NO_MEMORY" },
    { "pt_init_user", "STATUS_ERR_NO_MEMORY" }, { "quota_charge", "STATUS_ERR_LIMIT" },
}

-- covers: SC-24 (X)
for _, step in ipairs(fork_steps) do
    it("a fork whose " .. step[1] .. " fails leaves nothing behind", function()
        local m = booted { cpus = 2 }
        expect(m:command("forkstorm --processes 4"):wait().status):to_be(0)
        local before = m.kernel.figures()
        m:fail_call(step[1], step[2] == NULL and 0 or m.sym[step[2]])
        expect(m:ask("run forkstorm --processes 4")):to_match("^error ")
        for name, value in pairs(m.kernel.figures()) do expect(value, name):to_be(before[name]) end
        expect(m:command("forkstorm --processes 4"):wait().status):to_be(0)
    end)
end

-- covers: SC-24 (X)
for _, step in ipairs { { "thread_create", "STATUS_ERR_NO_MEMORY" }, { "kheap_alloc_zero", NULL },
    { "vm_map_stack_near", "STATUS_ERR_NO_MEMORY" }, { "tls_build", "STATUS_ERR_NO_MEMORY" } } do
    it("a thread whose " .. step[1] .. " fails leaves nothing behind", function()
        local m, making, failed = booted { cpus = 2 }, {}, 0
        expect(m:command("threadtest threads_start_and_are_joined"):wait().status):to_be(0)
        local before = m.kernel.figures()
        m:on_entry("process_thread_create", function(cpu) making[cpu] = true end)
        m:on_return("process_thread_create", function(cpu, _, rax)
            if rax ~= 0 then failed = failed + 1 end
            making[cpu] = nil
        end)
        m:fail_call(step[1], step[2] == NULL and 0 or m.sym[step[2]], { when = function(cpu) return making[cpu] end })
        expect(m:command("threadtest threads_start_and_are_joined"):wait().status, "status of who made it"):to_be(1)
        expect(failed, "threads that could not be made"):to_be(1)
        for name, value in pairs(m.kernel.figures()) do expect(value, name):to_be(before[name]) end
    end)
end

-- covers: SC-27 (S: of programs)
it("threads and processes know each other whatever is under way", function()
    local m, looks, threads = booted { cpus = 4 }, 0, 0
    local loads = { m:command("forkstorm --processes 300 --depth 4"), m:command("threadtest threads_start_and_are_joined") }
    local offset = m.sym("thread", 0):offsetof("process_node")
    for _ = 1, 60 do
        m:run(orrery.us(50))
        if m.sym.process_tree_lock.holder == 0xffffffff then -- lists change under it
            looks = looks + 1
            local listed = {}
            for _, process in ipairs(m.kernel.objects("process", "process")) do
                local count, node, head = 0, process.threads.next:value(), process.threads:address()
                while node ~= head and node ~= 0 do -- 0: it is only being made
                    local thread = m.sym("thread", node - offset)
                    expect(thread.process:value(), "process of a thread in the list"):to_be(process:address())
                    expect(listed[node], "a thread in two lists"):to_be(nil)
                    listed[node], count, node = true, count + 1, m.sym("list", node).next:value()
                end
                expect(count, "threads of " .. process.name:string()):to_be(process.thread_count)
                threads = threads + count
            end
            for _, task in ipairs(m.kernel.tasks()) do
                local waits = task.state == "ready" or task.state == "waiting"
                expect(not waits or task.kernel or listed[task.place:address() + offset], task.name .. " is listed"):to_be(true)
            end
        end
    end
    for _, load in ipairs(loads) do expect(load:wait().status, load.line):to_be(0) end
    expect(looks):to_be_above(30)
    expect(threads):to_be_above(looks * 5)
end)

-- covers: SC-11 (X)
it("no wake-up is lost, at whichever instruction it overtakes the wait", function()
    local waits, blocks, overtakes = 0, 0, 0 -- each stands still one instruction later than the one before
    local prepared, blocked = orrery.histogram("prepared"), orrery.histogram("blocked") -- instructions up to the next step
    for _ = 1, 3 do
        local m, overtaken, began = kernel_tests(2), {}, {}
        expect(m:wait_text(0, "shootdown_leaves_no_stale_translation", orrery.seconds(20))):to_be(true)
        local function stop(cpu, after) m:stall(cpu, m:register(cpu, "retired") + after, orrery.us(20)) end
        m:on_entry("sched_prepare_wait", function(cpu)
            waits, began[cpu] = waits + 1, m:register(cpu, "retired")
            overtaken[cpu] = waits % 4 == 0
            if not overtaken[cpu] then return end
            stop(cpu, overtakes)
            overtakes = overtakes + 1
        end)
        m:on_entry("sched_block", function(cpu)
            prepared:add(m:register(cpu, "retired") - began[cpu])
            began[cpu] = m:register(cpu, "retired")
            if overtaken[cpu] then return end
            stop(cpu, blocks)
            blocks = blocks + 1
        end)
        m:on_entry("switch_context", function(cpu)
            if began[cpu] then blocked:add(m:register(cpu, "retired") - began[cpu]) end
            began[cpu] = nil
        end)
        expect(m:wait_text(0, " - wake_is_never_lost", m:cycles() + orrery.seconds(2))):to_be(true)
        expect(m:console(0):find("not ok", 1, true) or 0, "place of a test that failed"):to_be(0)
    end
    orrery.note(prepared:row())
    orrery.note(blocked:row())
    orrery.note(string.format("stood still after 0 to %d and 0 to %d instructions", overtakes - 1, blocks - 1))
    expect(overtakes, "waits that stood still"):to_be_above(prepared:p50())
    expect(blocks, "blocks that stood still"):to_be_above(blocked:p50())
    expect(waits):to_be_above(400)
end)

-- covers: SC-12
it("sleepers with one deadline, the same to the cycle, wake in the order of their calls, twice at the same cycles", function()
    local function run()
        local m, calls, wakes, told = booted { cpus = 2 }, {}, {}, {}
        m:on_entry("sched_sleepers_add", function(cpu)
            if cpu == 0 then calls[#calls + 1] = { thread = m:register(cpu, "rsi"), deadline = m:register(cpu, "rdx") } end
        end)
        m:on_entry("sched_make_ready", function(cpu, cycle)
            wakes[#wakes + 1] = { thread = m:register(cpu, "rsi"), cycle = cycle }
        end)
        expect(m:command("schedmix equal_deadlines_end_in_the_order_of_the_calls"):wait().status):to_be(0)
        local first = 1
        for i = 8, #calls do
            if calls[i].deadline == calls[i - 7].deadline then first = i - 7 end
        end
        for i = first, first + 7 do
            expect(calls[i].deadline, "deadline"):to_be(calls[first].deadline)
        end
        local place, last = first, nil
        for _, wake in ipairs(wakes) do
            if wake.cycle >= calls[first].deadline and place < first + 8 and wake.thread == calls[place].thread then
                expect(wake.cycle - calls[first].deadline, "late"):to_be_below(orrery.us(10))
                told[#told + 1], place = wake.cycle, place + 1
            end
        end
        expect(place - first, "woken in the order of the calls"):to_be(8)
        return table.concat(told, " ")
    end
    local first = run()
    expect(run(), "a second run"):to_be(first)
end)

-- covers: SC-26
it("a dead thread's memory is there for 100 ticks, then it goes", function()
    local m, died = booted { cpus = 2 }, {}
    m:on_entry("reaper_add", function(cpu, cycle)
        died[#died + 1] = { top = m.sym("thread", m:register(cpu, "rdi")).stack_top, cycle = cycle }
    end)
    expect(m:command("forkstorm --processes 3"):wait().status):to_be(0)
    expect(#died, "threads that ended"):to_be(4)
    local first, last = died[1], died[#died]
    expect(last.cycle - first.cycle):to_be_below(orrery.ms(5))
    m:run_until(first.cycle + orrery.ms(990))
    for _, one in ipairs(died) do expect(m:read(one.top - 8, 8) ~= nil, "stack after 99 ticks"):to_be(true) end
    m:run_until(last.cycle + orrery.ms(1010))
    for _, one in ipairs(died) do expect(m:read(one.top - 8, 8), "stack after 101 ticks"):to_be(nil) end
end)

-- A program ends with all its threads, which run, wait in queues or are on their way into or out of one.
-- covers: SC-23 (X), SC-28 (X)
for _, name in ipairs { "sched_prepare_wait", "sched_block", "sched_poke", "wait_queue_leave", "sched_exit" } do
    it("threads that end wherever they are, stopped at the instructions of " .. name, function()
        local m, calls, points, stood, fresh, on = booted { cpus = 3 }, 0, 0, 0, {}, false
        local line = "threadtest exit_ends_all_threads_wherever_they_are"
        expect(m:command(line):wait().status):to_be(0)
        local before = m.kernel.figures()
        m:on_entry(name, function(cpu)
            calls, fresh[m.kernel.current_thread(cpu)] = calls + (on and 1 or 0), on
        end)
        for _, address in ipairs(m:code_of(name)) do
            local id
            points = points + 1
            id = m:probe(address, function(cpu) -- each call stands still at one instruction, where none has before
                if not fresh[m.kernel.current_thread(cpu)] then return end
                fresh[m.kernel.current_thread(cpu)], stood = nil, stood + 1
                m:unprobe(id)
                m:stall(cpu, m:register(cpu, "retired"), orrery.us(15))
            end)
        end
        on = true
        local seen
        repeat
            seen = stood
            expect(m:command(line):wait().status):to_be(0)
        until stood == seen
        on = false
        orrery.note(string.format("%d calls, stood still at %d of %d instructions", calls, stood, points))
        expect(calls, "calls that were stopped"):to_be_above(5)
        expect(stood, "instructions where one stood still, of " .. points):to_be_at_least(points // 4)
        for what, value in pairs(m.kernel.figures()) do expect(value, what):to_be(before[what]) end
    end)
end

-- covers: SM-06 (X)
for seed = 1, 3 do
    it("CPUs go and come while messages between them are late and CPUs stand still, seed " .. seed, function()
        local m = booted { cpus = 4, seed = seed }
        expect(m:command("hotplug --cycles 4"):wait().status):to_be(0)
        expect(m:command("forkstorm --processes 60 --depth 3"):wait().status):to_be(0)
        local before = m.kernel.figures()
        local loads = { m:command("hotplug --cycles 40 --pause-us 300"), m:command("forkstorm --processes 150 --depth 3") }
        local count = disturb.arrange(m, { spread = 5, late = 50, stands = 12, apart = 30000, still = 100 })
        expect(loads[1]:wait().status, loads[1].line):to_be(0)
        local seen = count() -- while CPUs went and came
        expect(seen.came, "messages that came late"):to_be(seen.late)
        expect(seen.came, "messages that came late"):to_be_at_least(20)
        expect(seen.stood, "times that a CPU stood still"):to_be(4 * 12)
        expect(loads[2]:wait().status, loads[2].line):to_be(0)
        for what, value in pairs(m.kernel.figures()) do expect(value, what):to_be(before[what]) end
    end)
end
