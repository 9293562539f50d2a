-- The scheduler over seconds: shares, slices, throttling, balance and fairness while programs spin, which is not simulated; and a
-- thousand CPUs that go and come.

local function booted(options)
    options.kernel, options.memory = "orrery", options.memory or "64M"
    return orrery.machine(options):boot()
end

-- What a system at rest has.
local function figures(m)
    m:ask("quiesce")
    local found = { frames = m.kernel.frames.free, tasks = #m.kernel.tasks() }
    for name, cache in pairs(m.kernel.slabs()) do found["objects of " .. name] = cache.live end
    return found
end

-- covers: SM-07
it("CPUs go and come 1,000 times at random while programs are born, end, sleep, wake and talk", function()
    local m, programs = booted { cpus = 4 }, 0
    local loads = { "forkstorm --processes 20 --depth 3",
        "ipctest calls_are_answered_word_for_word a_server_that_ends_wakes_who_is_queued" }
    local sleepers = "threadtest threads_start_and_are_joined a_mutex_lets_one_in conditions_pass_everything_on"
    local function all(lines)
        local commands = {}
        for i, line in ipairs(lines) do commands[i] = m:command(line) end
        for _, command in ipairs(commands) do expect(command:wait().status, command.line):to_be(0) end
    end
    all { "hotplug --cycles 4", sleepers, table.unpack(loads) }
    local before, from = figures(m), #m:console(0)
    local plug, steady = m:command("hotplug --cycles 500 --pause-us 30"), m:command(sleepers)
    repeat
        all { loads[programs % #loads + 1] }
        programs = programs + 1
    until m:console(0, from):find("hotplug: slowest", 1, true)
    expect(plug:wait().status):to_be(0)
    expect(steady:wait().status):to_be(0)
    local changes = tonumber(m:console(0, from):match("hotplug: changes (%d+)"))
    orrery.note(string.format("%d changes beside %d programs", changes, programs))
    expect(changes, "CPUs that went or came"):to_be_at_least(1000)
    expect(programs, "programs"):to_be_at_least(10)
    for what, value in pairs(figures(m)) do expect(value, what):to_be(before[what]) end
end)

-- ---- long runs ----

-- What a CPU does in user mode from 500 instructions after an interrupt until 20 us before its timer is due is not simulated:
-- the time passes, and who spins does nothing else with it. So a message of another CPU may be late.
local function skip_spinning(m)
    local skipped = 0
    m:probe((m:symbol("trap_iret")), function(number, cycle)
        local cpu = m.sym.cpu_table[number]
        local rest = cpu.armed_deadline - cycle - orrery.us(20)
        local cs = string.unpack("<I8", m:read(m:register(number, "rsp") + 8, 8))
        if cs & 3 == 3 and rest > 0 and rest < orrery.ms(20) then
            skipped = skipped + 1
            m:stall(number, m:register(number, "retired") + 500, rest)
        end
    end)
    return function() return skipped end
end

-- Runs tests of schedmix; the lines that begin with "# ".
local function mix(m, words)
    local from, before = #m:console(0), m:cycles()
    local command = m:command("schedmix " .. words):wait()
    for line in m:console(0, from):gmatch("# ([^\r\n]*)") do orrery.note(line) end
    expect(command.status, words):to_be(0)
    return m:cycles() - before
end

describe("long runs", function()
    -- covers: SC-04
    it("weights 1:2:4 share a CPU within 1 % over 10 s; sleeping for 2 s or being born gains little", function()
        local m = booted { cpus = 1 }
        local skipped = skip_spinning(m)
        expect(mix(m, "--ms 10000 shares_follow_weights")):to_be_above(orrery.seconds(10))
        mix(m, "--ms 2000 sleep_and_birth_gain_little")
        expect(skipped()):to_be_above(2000)
    end)

    -- covers: SC-05 (throttle)
    it("a real-time thread that never ends leaves 5 % of a second to the others", function()
        local m = booted { cpus = 1 }
        skip_spinning(m)
        mix(m, "real_time_is_throttled")
    end)

    -- covers: SC-06
    it("slices shrink with the load down to the floor, over a second", function()
        local m = booted { cpus = 1 }
        skip_spinning(m)
        mix(m, "--ms 1000 slices_shrink_with_load")
    end)

    -- covers: SC-16
    it("three on two CPUs stay where they are for 10 s", function()
        local m = booted { cpus = 3 }
        skip_spinning(m)
        expect(mix(m, "--ms 10000 three_on_two_cpus_stay")):to_be_above(orrery.seconds(10))
    end)

    -- covers: PR-07
    it("64 threads on one CPU, and 256 on four for 10 s, have their shares within a tenth", function()
        local one = booted { cpus = 1 }
        skip_spinning(one)
        mix(one, "--ms 5000 many_threads_share_fairly")
        local m = booted { cpus = 4 }
        local skipped = skip_spinning(m)
        expect(mix(m, "--ms 9560 many_threads_share_fairly")):to_be_above(orrery.seconds(10))
        orrery.note(orrery.grouped(skipped()) .. " skips")
    end)
end)
