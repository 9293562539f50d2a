-- Purpose: no wake-up is lost and no message changes when messages are disturbed: an interrupt at every instruction of what
-- they go through, CPUs that stand still anywhere, messages between CPUs that come late.
-- Expects: every test of the storms passes, and every frame comes back.
-- Options: --cpus N.
-- covers: IP-13 (X), IP-25 (X)

local cpus = orrery.args.cpus or 8

local function booted()
    return orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", engine = "timed", memory_model = "tso" }:boot()
end

local function free_frames(m)
    m:ask("quiesce")
    return m.kernel.frames.free
end

local STORMS <const> = "ipctest clients_and_servers_lose_nothing sixty_four_channels_keep_their_messages "
    .. "a_revocation_wakes_who_came_the_short_way the_end_of_a_server_wakes_who_came_the_short_way"

-- Runs the storms with what `disturb` arranges.
local function storms(m, disturb)
    local before = free_frames(m)
    disturb()
    expect(m:command(STORMS):wait { within = orrery.seconds(20) }.status):to_be(0)
    expect(free_frames(m), "free frames"):to_be(before)
end

local function stand_still(m)
    for cpu = 0, m:cpus() - 1 do
        local at = m:register(cpu, "retired")
        for _ = 1, 64 // m:cpus() do
            at = at + math.random(20000)
            m:stall(cpu, at, orrery.us(math.random(300)))
        end
    end
end

-- In the rounds of the storm each of these runs with interrupts on some of the time.
local interrupted = { "ipc_call", "ipc_reply_receive", "wait_for_end", "sched_handoff", "sched_wake", "syscall_continue",
    "channel_put", "ipc_wait" }

describe("messages", function()
    it("survive CPUs that stand still and late messages between them", function()
        local m = booted()
        storms(m, function()
            for n = 0, 60 do
                if math.random(2) == 1 then m:delay_ipi(n, orrery.us(math.random(100))) end
            end
            stand_still(m)
        end)
    end)

    for _, name in ipairs(interrupted) do
        it("survive an interrupt at every instruction of " .. name, function()
            local m = booted()
            storms(m, function()
                local first, size = assert(m:symbol(name))
                local vectors = { m.kernel.harmless_vector, m.sym.VECTOR_TIMER }
                for cpu = 0, m:cpus() - 1 do m:interrupt_range(cpu, first, first + size - 1, vectors[math.random(2)]) end
            end)
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
        local asked, seen = {}, { [0] = 0, [1] = 0 }
        local function watch(name, register, frames)
            m:on_entry(name, function(cpu)
                asked[cpu] = { node = m:register(cpu, register) & 0xffffffff, free = free_by_node(m) }
            end)
            m:on_return(name, function(cpu, _, rax)
                local a, free = asked[cpu], free_by_node(m)
                if rax & 0xffffffff ~= 0 or a.node > 1 then return end
                expect(a.free[a.node] - free[a.node], "frames of node " .. a.node):to_be_at_least(frames)
                expect(a.free[1 - a.node] - free[1 - a.node], "frames of the other node"):to_be_below(8)
                seen[a.node] = seen[a.node] + 1
            end)
        end
        watch("region_create", "rdx", 64)
        watch("channel_create", "rcx", 16)
        expect(m:command("ipctest buffers_lie_on_the_node_of_who_receives"):wait().status):to_be(0)
        expect(seen[0], "buffers on node 0"):to_be(2)
        expect(seen[1], "buffers on node 1"):to_be(3)
    end)
end)
