-- Purpose: capabilities of an endpoint are revoked, or the server is ended, while the CPU of a client and a server that go the short
-- way stands still before an instruction of it, at each of them; and revoked twice at once, while who was first stands still before
-- it tells the users.
-- Expects: a message arrives whole or fails with the status of a revoked capability; none arrives, and nobody waits, by a capability
-- whose revocation has returned; nobody hangs, nothing leaks.
-- Options: --set every=N (one of N instructions, which the seed chooses).
-- covers: IP-16 (X: the server is ended at a sample of the instructions of the short way)
-- covers: CP-09 (X: at each instruction of the short way; two removals at once), CP-20 (X)

local deeds = require "deeds"

local STILL <const> = orrery.us(40)
local OFTEN <const> = 4 -- more often than a client that starts
local every = orrery.args.every and math.tointeger(tonumber(orrery.args.every)) or 1


-- As m:on_return, but by probes that stay: each new one costs the simulator what it knows of the code.
local function on_exit(m, name, fn)
    local exits = 0
    for _, address in ipairs(m:code_of(name)) do
        local text = m:disassemble(address)
        if text:find("^ret") then
            exits = exits + 1
            m:probe(address, fn)
        end
    end
    assert(exits > 0, name)
end

-- Notes which capabilities are gone for good, and compares with that every message of the short way and who waits.
local function observe(m)
    local self = { messages = 0, late = 0, left = 0, ending = 0, revoked = 0, known = 0, armed = false }
    local example = m.sym.cpu_table[0].current:deref()
    local party = example:offsetof("ipc")
    local badge, state = party + example.ipc:offsetof("message") + example.ipc.message:offsetof("badge"), party + example.ipc:offsetof("state")
    local function word(address, format) return (string.unpack(format, m:read(address, 8))) end
    local taking, gone, users = {}, {}, {} -- by thread: what its revocation takes; ids; threads that used the short way
    local badges = {} -- of messages that went the short way
    m:on_entry("cap_revoke", function(cpu) taking[m.kernel.current_thread(cpu)] = {} end)
    m:on_entry("tell_removed", function(cpu)
        local list = taking[m.kernel.current_thread(cpu)]
        if list then list[#list + 1] = m:register(cpu, "rsi") end
    end)
    on_exit(m, "cap_revoke", function(cpu)
        local thread = m.kernel.current_thread(cpu)
        for _, id in ipairs(taking[thread]) do
            gone[id], self.revoked, self.known = true, self.revoked + 1, self.known + (badges[id] and 1 or 0)
            for user in pairs(users) do
                if word(user + state, "<I4") ~= m.sym.IPC_IDLE and word(user + badge, "<I8") == id then self.left = self.left + 1 end
            end
        end
        taking[thread] = nil
    end)
    local from = {} -- by CPU: who sends
    local telling, told_to_end = {}, {} -- by CPU: whom sched_poke is for; threads for which it has returned
    m:on_entry("sched_poke", function(cpu) telling[cpu] = m:register(cpu, "rdi") end)
    on_exit(m, "sched_poke", function(cpu) told_to_end[telling[cpu]] = true end)
    for _, name in ipairs { "ipc_fast_call", "ipc_fast_reply" } do
        m:on_entry(name, function(cpu)
            if not self.armed then return end
            from[cpu] = m.kernel.current_thread(cpu)
            users[from[cpu]] = true
        end)
    end
    m:on_entry("message_resume", function(cpu)
        self.messages = self.messages + 1
        if told_to_end[from[cpu]] then self.ending = self.ending + 1 end
        if self.armed and from[cpu] then
            local used = word(from[cpu] + badge, "<I8")
            badges[used] = true
            if gone[used] then self.late = self.late + 1 end
        end
    end)
    m:on_entry("thread_free_block", function(cpu)
        local thread = m:register(cpu, "rdi")
        users[thread], told_to_end[thread] = nil, nil
    end)
    return self
end

describe("what goes while it is used", function()
    local m = orrery.machine { kernel = "orrery", cpus = 2, memory = "64M", blocks = "single" }:boot()
    local before

    local function figures()
        m:run(orrery.seconds(3)) -- revoked capabilities stay in their slots for a while
        return m.kernel.figures()
    end

    local asked, ends = deeds.attend(m, on_exit), 0
    local command, seen, buried

    local function running(cpu) return deeds.running(m, cpu) end

    -- Does it on CPU 1, or waits until it is done.
    local function round_over(deed)
        local round = asked.rounds
        asked.told = asked.told or deed
        ends = ends + (asked.told == 2 and 1 or 0)
        m:run(orrery.ms(5))
        expect(asked.rounds - round, "rounds"):to_be(1)
    end

    local all, times, target, came = {}, {}, nil, nil -- instructions of the short way; how often each was next on CPU 0

    local function watch(names)
        for _, name in ipairs(names) do
            for _, address in ipairs(m:code_of(name)) do
                all[#all + 1], times[address] = address, 0
                m:probe(address, function(cpu)
                    if cpu ~= 0 then return end
                    times[address] = times[address] + 1
                    if address == target then came() end
                end)
            end
        end
    end

    -- Those that messages come to again and again. With several clients: the places of two capabilities in a CPU's cache may be
    -- one, then all messages go the long way.
    local function visited()
        local found, often = {}, {}
        for _ = 1, 4 do
            for _, address in ipairs(all) do times[address] = 0 end
            m:run(orrery.us(300))
            for _, address in ipairs(all) do often[address] = often[address] or times[address] >= OFTEN end
            round_over(0)
        end
        for _, address in ipairs(all) do
            if often[address] then found[#found + 1] = address end
        end
        return found
    end

    -- Who comes to the address next on CPU 0 stands still behind it while the deed is done on CPU 1. Returns whether one came, and
    -- whether a capability was taken meanwhile.
    local function done_at(address, deed)
        local stood, overtaken
        target = address
        function came()
            if running(0) == command.pid then return end
            stood, asked.told, target = m:register(0, "retired"), deed, nil
            m:stall(0, stood, STILL) -- before the next instruction
            m:stop()
        end
        function buried() overtaken = overtaken or (stood ~= nil and m:register(0, "retired") <= stood + 1) end
        m:run(orrery.us(200))
        if stood then round_over() end
        target, buried = nil, nil
        return stood ~= nil, overtaken
    end

    -- With other capabilities when messages go the long way.
    local function surely_done_at(address, deed)
        for i = 1, 8 do
            local came, taken = done_at(address, deed)
            if came then return came, taken end
            round_over(i % 2)
        end
        return false, false
    end

    it("begins", function()
        before = figures()
        seen = observe(m)
        watch { "ipc_fast_call", "ipc_fast_reply", "message_resume" }
        m:on_entry("slot_bury", function() if buried then buried() end end)
        command, seen.armed = m:command("ipctest a_revocation_at_each_instruction"), true
        m:run(orrery.ms(2))
    end)

    for i, name in ipairs { "a client's capability", "a server's capability", "a server" } do
        local deed = i - 1
        it(name .. " goes at each instruction of the short way", function()
            local places = visited()
            local chosen, stood, overtaken = 0, 0, 0
            for _, address in ipairs(places) do
                if math.random(deed == 2 and every * 3 or every) == 1 then -- tests/e2e/kernel_kill.lua has more ends
                    local came, taken = surely_done_at(address, deed)
                    chosen, stood, overtaken = chosen + 1, stood + (came and 1 or 0), overtaken + (taken and 1 or 0)
                end
            end
            expect(stood, "instructions where it went, of " .. chosen):to_be(chosen)
            if deed < 2 then expect(overtaken, "of them so that it was taken meanwhile"):to_be(chosen) end
            expect(seen.late, "messages by a capability that was gone"):to_be(0)
            expect(seen.ending, "threads that wait the short way after they were told to end"):to_be(0)
            expect(seen.left, "threads that wait by a capability that is gone"):to_be(0)
            orrery.note(string.format("%d of %d instructions that messages come to; of %d", stood, #places, #all))
        end)
    end

    it("and all ends", function()
        asked.stop = true
        expect(command:wait { within = orrery.seconds(10) }.status):to_be(0)
        expect(seen.revoked, "capabilities revoked"):to_be_at_least(asked.rounds - ends)
        expect(seen.known, "of them such that messages had come by"):to_be_above(seen.revoked // 4)
        orrery.note(string.format("%d messages the short way, %d capabilities revoked", seen.messages, seen.revoked))
        local after = figures()
        for what, count in pairs(before) do expect(after[what], what):to_be(count) end
    end)
end)

it("a second revoker waits until the first has told the users", function()
    local m = orrery.machine { kernel = "orrery", cpus = 4, memory = "64M" }:boot()
    local active, met = {}, 0
    for _, name in ipairs { "cap_revoke", "cap_delete" } do
        m:on_entry(name, function(cpu) active[m.kernel.current_thread(cpu)] = name end)
        m:on_return(name, function(cpu) active[m.kernel.current_thread(cpu)] = nil end)
    end
    m:on_entry("tell_removed", function(cpu)
        if not active[m.kernel.current_thread(cpu)] then return end
        for thread, name in pairs(active) do
            if thread ~= m.kernel.current_thread(cpu) and name == "cap_revoke" then met = met + 1 end
        end
        m:stall(cpu, m:register(cpu, "retired") + 1, orrery.us(50))
    end)
    expect(m:command("ipctest a_revocation_waits_for_what_others_remove"):wait { within = orrery.seconds(10) }.status):to_be(0)
    expect(met, "revocations under way when another removal stood still"):to_be_at_least(6)
    orrery.note(string.format("%d revocations waited", met))
end)
