-- Purpose: what gives resources back is torn at every instruction: an interrupt comes before each of them, and where the kernel
-- lets it, the CPU goes to another thread, which is as often as not on the same way out.
-- Expects: every program ends as it should; afterwards every frame, object, thread and end of a message is back.
-- Options: --set group=N: only the N-th of the four groups of programs.
-- covers: IR-08 (X)
local preemption = require "preemption"

local FORKS <const> = { "forkstorm --processes 6 --depth 2", "forkstorm --processes 8 --depth 3" }
local THREADS <const> = { "threadtest threads_start_and_are_joined", "threadtest of_several_execs_one_wins" }
local MESSAGES <const> = { "ipctest undelivered_capabilities_do_not_leak what_is_moved_is_given_up channels_fill_and_empty "
    .. "rights_to_answer_are_put_aside_and_used_once notifications_are_taken_once regions_are_shared",
    "ipctest a_server_that_ends_wakes_who_is_queued a_revocation_wakes_who_waits a_name_goes_with_who_bound_it "
    .. "a_moved_region_is_gone_from_its_sender" }
local CAPABILITIES <const> = { "capstorm 3 3", "capstorm 3 4", "captest revoked_slots_are_collected" }

-- Programs, functions in which another thread takes the CPU meanwhile, and functions of the kernel's own threads or with interrupts
-- back on late, which are only interrupted: no thread is better, or none is ready.
local paths = {
    { FORKS, { "process_exit", "process_finish", "process_put", "vm_space_deinit", "pt_deinit", "cap_space_destroy",
        "tlb_gather_finish", "frame_put", "object_put", "slab_free_site", "rcu_defer" },
        { "reaper_run", "thread_free_block", "kmap_stacks_free", "kheap_free", "kheap_pages_free" } },
    { THREADS, { "process_thread_exit", "process_end_others", "process_thread_join" }, { "process_end_begin", "sched_exit" } },
    { MESSAGES, { "ipc_endpoint_removed" },
        { "channel_removed", "region_removed", "mapping_put", "ipc_endpoint_release", "ipc_reply_release", "channel_release",
            "notification_release", "notification_removed", "region_release", "release", "serve" } },
    { CAPABILITIES, { "cap_revoke", "cap_delete" }, { "collector_pass", "space_collect", "leaf_release" } },
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
        local watch = preemption.watch(m)
        run(m, programs)
        local before = m.kernel.figures()
        for least, functions in ipairs { preempted, interrupted } do
            for _, name in ipairs(functions) do
                it(name .. " is not torn", function()
                    preemption.at_function(m, watch, name)
                    run(m, programs)
                    preemption.stop(m, watch)
                    orrery.note(watch.interrupts .. " interrupts, another thread came between after " .. watch.switches)
                    expect(watch.interrupts, "interrupts"):to_be_above(0)
                    if least == 1 then expect(watch.switches, "other threads that came between"):to_be_above(0) end
                    for what, value in pairs(m.kernel.figures()) do expect(value, what):to_be(before[what]) end
                end)
            end
        end
    end)
end

for group = 1, #paths do
    if group == (orrery.args.group or group) then check_group(group) end
end
