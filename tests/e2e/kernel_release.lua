-- Purpose: what gives resources back is torn at every instruction: an interrupt comes before each of them, and where the kernel
-- lets it, the CPU goes to another thread, which is as often as not on the same way out.
-- Expects: no instruction that ran with interrupts on was left out; every program ends as it should; afterwards every frame,
-- object, thread and end of a message is back.
-- Options: --set group=N: only the N-th of the four groups of programs.
-- covers: IR-08 (X)
local interrupts = require "interrupts"
local preemption = require "preemption"

local FORKS <const> = { "forkstorm --processes 6 --depth 2", "forkstorm --processes 8 --depth 3" }
local THREADS <const> = { "threadtest threads_start_and_are_joined", "threadtest of_several_execs_one_wins" }
local MESSAGES <const> = { "ipctest undelivered_capabilities_do_not_leak what_is_moved_is_given_up channels_fill_and_empty "
    .. "rights_to_answer_are_put_aside_and_used_once notifications_are_taken_once regions_are_shared",
    "ipctest a_server_that_ends_wakes_who_is_queued a_revocation_wakes_who_waits a_name_goes_with_who_bound_it "
    .. "a_moved_region_is_gone_from_its_sender" }
local CAPABILITIES <const> = { "capstorm 3 3", "capstorm 3 4", "captest revoked_slots_are_collected" }

-- Programs, functions in which another thread takes the CPU meanwhile, and functions of the kernel's own threads or with interrupts
-- back on late, which are only interrupted: no thread is better, or none is ready. Of each the least number of interrupts, and of
-- switches.
local paths = {
    { FORKS, {
        { "process_exit", 116, 113 }, { "process_finish", 475, 351 }, { "process_put", 265, 13 },
        { "vm_space_deinit", 942, 788 }, { "pt_deinit", 406, 295 }, { "cap_space_destroy", 881, 834 },
        { "tlb_gather_finish", 5729, 4180 }, { "frame_put", 10318, 7114 }, { "object_put", 925, 509 },
        { "slab_free_site", 3056, 1659 }, { "rcu_defer", 310, 260 },
    }, {
        { "reaper_run", 484 }, { "thread_free_block", 51 }, { "kmap_stacks_free", 784 }, { "kheap_free", 96 },
        { "kheap_pages_free", 266 },
    } },
    { THREADS, {
        { "process_thread_exit", 340, 160 }, { "process_end_others", 144, 98 }, { "process_thread_join", 758, 12 },
    }, {
        { "process_end_begin", 48 }, { "sched_exit", 89 },
    } },
    { MESSAGES, {
        { "ipc_endpoint_removed", 10484, 1480 },
    }, {
        { "channel_removed", 285 }, { "region_removed", 228 }, { "mapping_put", 181 }, { "ipc_endpoint_release", 67 },
        { "ipc_reply_release", 22 }, { "channel_release", 40 }, { "notification_release", 6 },
        { "notification_removed", 32 }, { "region_release", 91 }, { "release", 168 }, { "serve", 1636 },
    } },
    { CAPABILITIES, {
        { "cap_revoke", 61860, 5631 }, { "cap_delete", 28976, 11532 },
    }, {
        { "collector_pass", 14925 }, { "space_collect", 22198 }, { "leaf_release", 1612 },
    } },
}

-- Runs the programs side by side on a machine that was at rest.
local function run(m, programs)
    local commands = {}
    for i, line in ipairs(programs) do commands[i] = m:command(line) end
    for _, command in ipairs(commands) do
        expect(command:wait { within = orrery.seconds(20) }.status, command.line):to_be(0)
    end
    m:ask("quiesce")
end

local function check_group(group)
    local programs, preempted, interrupted = table.unpack(paths[group])
    describe(programs[1]:match("%a+"), function()
        local m = orrery.machine { kernel = "orrery", cpus = group == 1 and 2 or 1, memory = "64M", memory_model = "sc" }:boot()
        local watch, counted = preemption.watch(m), interrupts.watch(m)
        run(m, programs)
        local before = m.kernel.figures()
        for _, functions in ipairs { preempted, interrupted } do
            for _, row in ipairs(functions) do
                local name, interruptions, switches = table.unpack(row)
                it(name .. " is not torn", function()
                    interrupts.count(m, counted, name)
                    preemption.at_function(m, watch, name)
                    run(m, programs)
                    preemption.stop(m, watch)
                    interrupts.stop(m, counted)
                    orrery.note(watch.interrupts .. " interrupts, another thread came between after " .. watch.switches)
                    interrupts.judge(counted, 1, 1)
                    expect(watch.interrupts, "interrupts"):to_be_at_least(interruptions)
                    if switches then expect(watch.switches, "other threads that came between"):to_be_at_least(switches) end
                    for what, value in pairs(m.kernel.figures()) do expect(value, what):to_be(before[what]) end
                end)
            end
        end
    end)
end

for group = 1, #paths do
    if group == (orrery.args.group or group) then check_group(group) end
end
