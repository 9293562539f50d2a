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
end)
