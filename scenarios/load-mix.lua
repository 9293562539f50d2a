-- Purpose: all load programs at once while CPUs go and come, round after round; nothing is lost, nothing is kept. Beside them
-- programs of tests that mind neither load nor CPUs that go.
-- Expects: every program passes in every round; after each, the frames, the kernel's objects of every kind and the CPUs are
-- what they were after the first; a second machine ends in the same state. It tells how much of the time was load:
-- a round's loads are over in some 70 ms, and without --set pause=N the CPUs rest for what is left of a second
-- (docs/perf.md, "Long runs").
-- Options: --cpus N; --set seconds=N of simulated time; --set pause=N milliseconds after each round, 0 for rounds
-- back to back; --set every=N to look only after every so many rounds and the last one, for a look waits for a quiescence,
-- up to a second; --set machines=1 for one run only.
-- covers: SM-03, SM-05, SC-13, TS-07 (two seconds)

local seconds = orrery.args.seconds or 2
local cpus = orrery.args.cpus or 8
local pause = orrery.args.pause
local every = orrery.args.every or 1
local round_cycles <const> = orrery.ms(990) -- of a round without a pause of its own: the CPUs idle when the loads are over

local loads = {
    "hotplug --cycles 60 --pause-us 700",
    "forkstorm --processes 200 --depth 3",
    "memhog 24",
    "capstorm 5 4",
    "shmpingpong --rounds 400",
    "ipcflood no_two_processes_share_a_bucket a_flood_passes_what_its_limit_allows",
    -- what is pinned to CPU 0, which never goes, and what needs no CPU for itself
    "schedmix --ms 60 bad_arguments_are_refused real_time_runs_in_strict_order",
    "dimquery --clients 3 --queries 15",
    "ipctest calls_are_answered_word_for_word sends_wait_for_who_receives a_server_that_ends_wakes_who_is_queued "
        .. "a_channel_keeps_order_while_it_wraps a_revocation_wakes_who_waits regions_are_shared",
    "threadtest threads_start_and_are_joined a_mutex_lets_one_in conditions_pass_everything_on "
        .. "a_barrier_holds_all_until_the_last_comes threads_share_the_heap",
    "selftest registers_survive_a_call exec_replaces_the_program",
}

-- Returns the cycles in which there was load.
local function run_round(m)
    local begin, commands = m:cycles(), {}
    for i, line in ipairs(loads) do commands[i] = m:command(line) end
    for _, command in ipairs(commands) do
        expect(command:wait { within = orrery.seconds(10) }.status, command.line):to_be(0)
    end
    local loaded = m:cycles() - begin
    m:run(math.max(pause and orrery.ms(pause) or round_cycles - loaded, 1))
    return loaded
end

local function run(m)
    m:boot()
    local finish, rounds, loaded, first = m:cycles() + orrery.seconds(seconds), 0, 0, nil
    while m:cycles() < finish do
        loaded = loaded + run_round(m)
        rounds = rounds + 1
        if rounds % every == 0 or m:cycles() >= finish then
            local now = m.kernel.figures()
            first = first or now
            for name, value in pairs(first) do expect(now[name], name .. " after round " .. rounds):to_be(value) end
        end
    end
    return rounds, loaded
end

describe("all loads at once", function()
    local hashes = {}
    for i = 1, orrery.args.machines or 2 do
        it("leave a system of " .. cpus .. " CPUs as it was, run " .. i, function()
            local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "256M" }
            local rounds, loaded = run(m)
            hashes[i] = m:state_hash()
            -- an instruction of the fast engine takes a cycle, and a CPU that idles makes none
            orrery.note(string.format("%d rounds in %s, %s of them with load; CPUs busy %.2f %%", rounds,
                orrery.duration(m:cycles()), orrery.duration(loaded), 100 * m:instructions() / (cpus * m:cycles())))
        end)
    end
    if #hashes > 1 then
        it("end in the same state", function()
            for i = 2, #hashes do expect(hashes[i], "digest of run " .. i):to_be(hashes[1]) end
        end)
    end
end)
