-- Purpose: no wake-up is lost and no message changes when messages are disturbed: an interrupt at every instruction of what
-- they go through, CPUs that stand still anywhere, messages between CPUs that come late.
-- Expects: every test of the storms passes, and every frame comes back.
-- Options: --cpus N.
-- covers: IP-13 (X), IP-25 (X)

local interrupts = require "interrupts"
local disturb = require "disturb"

local cpus = orrery.args.cpus or 8

local function booted()
    return orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", engine = "timed", memory_model = "tso" }:boot()
end

local function free_frames(m)
    m:ask("quiesce")
    return m.kernel.frames.free
end

local STORMS <const> = "ipctest clients_and_servers_lose_nothing sixty_four_channels_keep_their_messages "
    .. "a_revocation_wakes_who_came_the_short_way the_end_of_a_server_wakes_who_came_the_short_way "
    .. "messages_stay_on_the_node_of_who_sends_them"

-- Runs the storms with what is arranged.
local function storms(m, arrange)
    local before = free_frames(m)
    arrange()
    expect(m:command(STORMS):wait { within = orrery.seconds(20) }.status):to_be(0)
    expect(free_frames(m), "free frames"):to_be(before)
end

-- What the rounds of the storm go through; of each the least number of instructions with interrupts on, and of their runs.
local interrupted = {
    { "ipc_call", 17, 5000 }, { "ipc_reply_receive", 22, 8000 }, { "wait_for_end", 18, 9000 }, { "sched_wake", 17, 1800 },
    { "syscall_continue", 13, 300 }, { "channel_put", 22, 36000 }, { "ipc_wait", 53, 80000 },
    { "sched_handoff", 150 }, -- all with interrupts off: they wait until it has ended
}

describe("messages", function()
    it("survive CPUs that stand still and late messages between them", function()
        local m = booted()
        local count
        storms(m, function()
            count = disturb.arrange(m, { spread = 1, late = 100, stands = 64 // m:cpus(), apart = 20000, still = 300 })
        end)
        local seen = count()
        expect(seen.came, "messages that came late"):to_be(seen.late)
        expect(seen.came, "messages that came late"):to_be_at_least(20)
        expect(seen.stood, "times that a CPU stood still"):to_be_at_least(60)
    end)

    for _, row in ipairs(interrupted) do
        local name, instructions, runs = table.unpack(row)
        it("survive an interrupt at every instruction of " .. name, function()
            local m = booted()
            local watch = interrupts.watch(m)
            storms(m, function() interrupts.inside(m, watch, name, { m.kernel.harmless_vector, m.sym.VECTOR_TIMER }) end)
            if runs then
                interrupts.judge(watch, instructions, runs)
            else
                interrupts.judge_closed(watch, instructions)
            end
        end)
    end

    -- Free frames of each node: in its zones, and in the caches of its CPUs.
    local function free_by_node(m)
        local manager, free = m.sym.frame_manager, {}
        for node = 0, manager.node_count - 1 do
            local zones = manager.nodes[node].zones
            free[node] = 0
            for zone = 0, #zones - 1 do free[node] = free[node] + zones[zone].free_frames end
        end
        for cpu = 0, manager.cpu_count - 1 do
            local cache = manager.cpus[cpu]
            free[cache.node] = free[cache.node] + cache.count + cache.zeroed_count
        end
        return free
    end

    -- covers: IP-09
    it("have their buffers on the node that was asked for", function()
        local m = orrery.machine { kernel = "orrery", cpus = 2, numa = 2, memory = "128M" }:boot()
        local asked, seen, receiver = {}, { [0] = 0, [1] = 0 }, nil
        local function watch(name, register, frames)
            m:on_entry(name, function(cpu)
                asked[cpu] = { node = m:register(cpu, register) & 0xffffffff, free = free_by_node(m) }
            end)
            m:on_return(name, function(cpu, _, rax)
                local a, free = asked[cpu], free_by_node(m)
                if rax & 0xffffffff ~= 0 or a.node > 1 then return end
                expect(a.free[a.node] - free[a.node], "frames of node " .. a.node):to_be_at_least(frames)
                expect(a.free[1 - a.node] - free[1 - a.node], "frames of the other node"):to_be_below(8)
                receiver = receiver or { asks = a.node, runs_on = m.sym.cpu_table[cpu].node } -- it makes the first one
                seen[a.node] = seen[a.node] + 1
            end)
        end
        watch("region_create", "rdx", 64)
        watch("channel_create", "rcx", 16)
        expect(m:command("ipctest buffers_lie_on_the_node_of_who_receives"):wait().status):to_be(0)
        expect(receiver.asks, "node that the receiver asks for"):to_be(1)
        expect(receiver.runs_on, "node where the receiver runs"):to_be(1)
        expect(seen[0], "buffers on node 0"):to_be(2)
        expect(seen[1], "buffers on node 1"):to_be(3)
    end)
end)
