-- Purpose: a process is ended while it stands at an instruction of what sends, receives, calls and answers messages.
-- Expects: it ends; the other side goes on with somebody else, by the short way too; every frame comes back.
-- Options: --set every=N (1: at all of the instructions that messages come to; by default a sample that the seed chooses).
-- covers: IP-16 (X: a sample of the instructions)

local deeds = require "deeds"

local every = orrery.args.every and math.tointeger(tonumber(orrery.args.every)) or 12

local short = { { "ipc_fast_reply" }, { "ipc_fast_call" } }
local long = {
    { "ipc_call", "ipc_send", "ipc_receive", "ipc_reply", "ipc_reply_receive", "ipc_continue", "wait_for_end", "syscall_continue",
        "endpoint_send_locked", "endpoint_call_locked", "endpoint_receive_locked", "endpoint_reply_locked" },
    { "sched_handoff" },
}

describe("ends in the middle of messages", function()
    local m = orrery.machine { kernel = "orrery", cpus = 2, memory = "64M" }:boot()

    -- When the dead have given back what they had, revoked capabilities too, which stay in their slots for a while.
    local function free_frames()
        m:run(orrery.seconds(3))
        m:ask("quiesce")
        return m.kernel.frames.free
    end

    local deed = deeds.attend(m, m.on_return) -- the pid of who is to be ended
    local command

    local function running(cpu) return deeds.running(m, cpu) end

    -- The instructions of functions that messages come to, and how many there are.
    local function visited(names)
        local found, ids, all = {}, {}, 0
        for _, name in ipairs(names) do
            for _, address in ipairs(m:code_of(name)) do
                local seen = false
                all = all + 1
                ids[all] = m:probe(address, function(cpu)
                    if seen or cpu ~= 0 then return end
                    seen, found[#found + 1] = true, address
                end)
            end
        end
        m:run(orrery.ms(1))
        for _, id in ipairs(ids) do m:unprobe(id) end
        return found, all
    end

    -- The next process that comes to the address on CPU 0 stands still there until it has been ended; false: none came.
    local function end_at(address)
        local id, victim
        id = m:probe(address, function(cpu)
            if cpu ~= 0 or victim or running(cpu) == command.pid then return end
            victim = running(cpu)
            deed.told = victim
            m:stall(cpu, m:register(cpu, "retired"), orrery.us(20))
        end)
        local round = deed.rounds
        m:run(orrery.us(500))
        for _ = 1, 8 do -- two programs that go round in step meet it when one of them loses the CPU in the midst
            if victim then break end
            m:stall(0, m:register(0, "retired") + math.random(2000), orrery.us(math.random(8000)))
            m:run(orrery.ms(8))
        end
        if victim and deed.rounds == round then m:run(orrery.ms(20)) end
        m:unprobe(id)
        expect(deed.rounds - round, "rounds for an end at " .. m:describe(address)):to_be(victim and 1 or 0)
        return victim ~= nil
    end

    -- Messages that went from registers to registers: calls, answers.
    local function went_short()
        local calls, answers = 0, 0
        for cpu = 0, m:cpus() - 1 do
            local at = m.sym.cpu_table[cpu]
            calls, answers = calls + at.short_calls, answers + at.short_replies
        end
        return calls, answers
    end

    -- After an end the short way is used again, both ways.
    local function goes_the_short_way()
        local calls, answers = went_short()
        m:run(orrery.us(150))
        local more_calls, more_answers = went_short()
        expect(more_calls - calls, "calls the short way after an end"):to_be_above(0)
        expect(more_answers - answers, "answers the short way after an end"):to_be_above(0)
    end

    local function ends_at_instructions_of(names)
        it("at instructions of " .. table.concat(names, ", "), function()
            local places, all = visited(names)
            local chosen, ended = 0, 0
            for _, address in ipairs(places) do
                if math.random(every) == 1 then
                    chosen, ended = chosen + 1, ended + (end_at(address) and 1 or 0)
                    if chosen % 8 == 1 then goes_the_short_way() end
                end
            end
            expect(#places, "instructions that messages come to"):to_be_at_least(40)
            expect(ended, "ends at " .. chosen .. " instructions"):to_be_at_least(chosen * 3 // 4)
            orrery.note(string.format("%d ends at %d chosen of %d instructions that messages come to; of %d", ended, chosen, #places, all))
        end)
    end

    local function session(groups)
        command, deed.stop = m:command("ipctest an_end_at_each_instruction"), false
        for _, names in ipairs(groups) do ends_at_instructions_of(names) end
        it("and all goes on", function()
            deed.stop = true
            expect(command:wait { within = orrery.seconds(10) }.status):to_be(0)
        end)
    end

    session(short)
    local before = free_frames() -- with the tables of kernel stacks, which stay, of so many dead at once
    session(long)
    it("every frame comes back", function() expect(free_frames(), "free frames"):to_be(before) end)
end)
