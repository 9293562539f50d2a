-- The adapter of the kernel in os/ against what the kernel does: tasks, locks, slabs, ends of messages, helpers. Memory is
-- sequentially consistent: under tso what a CPU has stored, such as the holder of a lock, may still be its own.
local CPUS <const> = orrery.args.cpus or 4
local m = orrery.machine { kernel = "orrery", cpus = CPUS, memory = "128M", memory_model = "sc" }
local kernel = m.kernel

local function by(list, field, value)
    local found = {}
    for _, entry in ipairs(list) do
        if entry[field] == value then found[#found + 1] = entry end
    end
    return found
end

local function lock_named(name)
    return by(kernel.locks(), "name", name)[1]
end

-- Runs a program until a function of the kernel is entered and `check(cpu)` has looked; fails when it never is.
local function look_at(symbol, command, check)
    local seen = false
    local id
    id = m:on_entry(symbol, function(cpu)
        if seen then return end
        seen = check(cpu) ~= false
    end)
    local status = m:command(command):wait().status
    m:unprobe(id)
    expect(seen, symbol .. " was looked at"):to_be(true)
    expect(status, command):to_be(0)
end

it("boots", function() m:boot() end)

it("tasks: init, an idle thread a CPU, threads of the kernel", function()
    local tasks = kernel.tasks()
    local init = by(tasks, "pid", 1)
    expect(#init):to_be(1)
    expect(init[1].name):to_be("init")
    expect(init[1].kernel):to_be(false)
    expect(init[1].policy):to_be("fair")
    expect(#by(tasks, "name", "idle")):to_be(CPUS)
    expect(#by(tasks, "name", "kernel")):to_be_at_least(2)
    for i = 2, #tasks do expect(tasks[i].tid):to_be_above(tasks[i - 1].tid) end
    for cpu = 0, CPUS - 1 do
        local task = kernel.current_task(cpu)
        expect(task.cpu):to_be(cpu)
        expect(task.state == "running" or task.state == "waiting", task.state):to_be(true) -- waiting: on its way to sleep
    end
    expect(kernel.current_task(CPUS)):to_be(nil)
end)

it("slabs: what the caches count is what lies in them", function()
    local slabs, tasks = kernel.slabs(), kernel.tasks()
    expect(slabs.thread.live):to_be_at_least(#tasks)
    for name, type in pairs { thread = "thread", process = "process", space = "address_space", endpoint = "endpoint_object" } do
        expect(#kernel.objects(name, type), name):to_be(slabs[name].live)
        expect(slabs[name].object_size, name):to_be(m.sym(type, 0):sizeof())
        expect(slabs[name].bytes, name):to_be_at_least(slabs[name].live * slabs[name].object_size)
    end
    expect(function() kernel.objects("no-such-cache", "thread") end):to_err("no slab cache")
end)

it("the current task is the one that forks; its lock is held while it is put into the tree", function()
    expect(lock_named("proc.tree").held):to_be(false)
    look_at("process_link_locked", "forkstorm --processes 4", function(cpu)
        local task = kernel.current_task(cpu)
        if task.name ~= "forkstorm" then return false end
        expect(task.pid):to_be(kernel.current_process(cpu).pid.number)
        local lock = lock_named("proc.tree")
        expect(lock.held):to_be(true)
        expect(lock.holder):to_be(cpu)
    end)
    expect(lock_named("proc.tree").held):to_be(false)
end)

it("a storm's tasks and slabs come and go", function()
    local before, most = #kernel.tasks(), 0
    local id = m:on_entry("process_set_state", function() most = math.max(most, kernel.slabs().process.live) end)
    expect(m:command("forkstorm --processes 20"):wait().status):to_be(0)
    m:unprobe(id)
    expect(most):to_be_above(2)
    m:wait_for { when = function() return #kernel.tasks() == before end, within = orrery.seconds(3) }
end)

it("ends of messages are seen while a program uses them, and gone after it", function()
    local before = #kernel.ipc().endpoints -- the name server's
    local endpoints, waiting, channels = 0, 0, 0
    local id = m:on_entry("thread_set_state", function()
        if endpoints > before and channels > 0 and waiting > 0 then return end
        local whole, ipc = pcall(kernel.ipc) -- not while another CPU is making or changing one
        if not whole then return end
        endpoints = math.max(endpoints, #ipc.endpoints)
        channels = math.max(channels, #ipc.channels)
        for _, endpoint in ipairs(ipc.endpoints) do
            waiting = math.max(waiting, #endpoint.receivers + #endpoint.senders + #endpoint.callers)
        end
    end)
    expect(m:command("ipctest"):wait().status):to_be(0)
    expect(m:console(0):match("# disturbed[^\r\n]*"), "a test that was disturbed"):to_be(nil)
    m:unprobe(id)
    expect(endpoints):to_be_above(before)
    expect(channels):to_be_above(0)
    expect(waiting):to_be_above(0)
    m:wait_for { when = function() return #kernel.ipc().endpoints == before end, within = orrery.seconds(3) }
end)

it("atomic helpers are where the compiler put them", function()
    local places, entered = 0, 0
    for _, name in ipairs(kernel.atomic_helpers) do
        local ranges = m:inlined(name)
        expect(#ranges, name):to_be_above(0)
        for _, range in ipairs(ranges) do
            expect(range.last, name):to_be_at_least(range.first)
        end
        places = places + #ranges
    end
    local probes = {}
    for i, range in ipairs(m:inlined("spin_lock")) do
        if i > 200 then break end
        probes[i] = m:probe(range.first, function() entered = entered + 1 end)
    end
    expect(m:command("forkstorm --processes 2"):wait().status):to_be(0)
    for _, id in ipairs(probes) do m:unprobe(id) end
    expect(entered):to_be_above(100)
    expect(#m:inlined("no_such_function")):to_be(0)
    orrery.note(places .. " places of " .. #kernel.atomic_helpers .. " helpers")
end)
