-- Purpose: a crowd puts into and takes from one lock-free channel of two places while CPUs stand still in the middle of it, under
-- several seeds; what each call answered is compared with all orders in which a plain queue could have answered.
-- Expects: every history is linearizable, "full" and "empty" included; nobody takes a lock in between.
-- Options: --cpus N, --set seeds=N.
-- covers: IP-02 (X)

local cpus, seeds = orrery.args.cpus or 5, orrery.args.seeds or 6
local CAPACITY <const> = 2

-- All that a plain queue could be now: its messages, and what each call that is under way has done already in this case. Calls
-- take effect at one moment between their beginning and their end (Lowe, "Testing for linearizability").
local function checker()
    local self = { states = { [""] = { queue = {}, done = {} } }, operations = 0, most = 1 }
    local open = {} -- by CPU: the call under way

    local function key(state)
        local parts = { table.concat(state.queue, ",") }
        for cpu = 0, cpus - 1 do parts[#parts + 1] = tostring(state.done[cpu]) end
        return table.concat(parts, ";")
    end

    -- The state after the call of a CPU takes effect.
    local function effect(state, cpu)
        local call, queue, done = open[cpu], { table.unpack(state.queue) }, {}
        for at = 0, cpus - 1 do done[at] = state.done[at] end
        if call.value then
            done[cpu] = #queue < CAPACITY and "ok" or "refused"
            if #queue < CAPACITY then queue[#queue + 1] = call.value end
        else
            done[cpu] = queue[1] or "refused"
            table.remove(queue, 1)
        end
        return { queue = queue, done = done }
    end

    function self.begins(cpu, value) open[cpu] = { value = value } end

    -- answer: "ok", "refused", or the message that was taken.
    function self.ends(cpu, answer)
        local todo, known, kept, left = {}, {}, {}, 0
        for name, state in pairs(self.states) do
            todo[#todo + 1], known[name] = state, true
        end
        while #todo > 0 do
            local state = table.remove(todo)
            if state.done[cpu] == answer then
                local after = { queue = state.queue, done = {} }
                for at = 0, cpus - 1 do after.done[at] = at ~= cpu and state.done[at] or nil end
                local name = key(after)
                if not kept[name] then kept[name], left = after, left + 1 end
            elseif not state.done[cpu] then
                for at in pairs(open) do
                    if not state.done[at] then
                        local after = effect(state, at)
                        local name = key(after)
                        if not known[name] then
                            known[name] = true
                            todo[#todo + 1] = after
                        end
                    end
                end
            end
        end
        open[cpu] = nil
        self.operations, self.most = self.operations + 1, math.max(self.most, left)
        if left == 0 then error(string.format("no queue could answer %s to call %d", answer, self.operations)) end
        self.states = kept
    end

    return self
end

local function word(m, address, cpu) return (string.unpack("<i8", m:read(address, 8, cpu))) end

local function run(seed)
    local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M", memory_model = "sc", seed = seed }:boot()
    local check, inside, into = checker(), {}, {}
    local refused, overlapping, under_way, locks, elsewhere = 0, 0, 0, 0, 0
    local function begins(cpu, value)
        under_way = under_way + 1
        if under_way > 1 then overlapping = overlapping + 1 end
        inside[cpu] = true
        check.begins(cpu, value)
        -- Who begins alone waits for the others, so that calls overlap however fast they are.
        if under_way == 1 or math.random(2) == 1 then m:stall(cpu, m:register(cpu, "retired") + math.random(50), orrery.ns(math.random(900))) end
    end
    local function ends(cpu, answer)
        under_way, inside[cpu] = under_way - 1, nil
        if answer == "refused" then refused = refused + 1 end
        check.ends(cpu, answer)
    end
    m:on_entry("ring_try_put", function(cpu) begins(cpu, tostring(word(m, m:register(cpu, "rsi"), cpu))) end)
    m:on_return("ring_try_put", function(cpu, _, rax) ends(cpu, rax & 0xffffffff == 0 and "ok" or "refused") end)
    m:on_entry("ring_try_take", function(cpu)
        into[cpu] = m:register(cpu, "rsi")
        begins(cpu)
    end)
    m:on_return("ring_try_take", function(cpu, _, rax)
        ends(cpu, rax & 0xffffffff == 0 and tostring(word(m, into[cpu], cpu)) or "refused")
    end)
    -- The lock trace: what a thread takes from its first look at the channel to its last; not what an interrupt takes meanwhile.
    local trying, interrupted = {}, {}
    for _, name in ipairs { "attempt_put", "attempt_take" } do
        m:on_entry(name, function(cpu) trying[m.kernel.current_thread(cpu)] = true end)
        m:on_return(name, function(cpu) trying[m.kernel.current_thread(cpu)] = nil end)
    end
    for _, name in ipairs { "trap_dispatch", "sched_reschedule" } do -- an interrupt, and the switch it asked for
        m:on_entry(name, function(cpu) interrupted[m.kernel.current_thread(cpu)] = true end)
        m:on_return(name, function(cpu) interrupted[m.kernel.current_thread(cpu)] = nil end)
    end
    local places = m:inlined("spin_lock")
    for _, range in ipairs(places) do
        m:probe(range.first, function(cpu)
            local thread = next(trying) and m.kernel.current_thread(cpu)
            if thread and trying[thread] and not interrupted[thread] then
                locks = locks + 1
            else
                elsewhere = elsewhere + 1
            end
        end)
    end
    expect(m:command("ipctest a_crowd_shares_a_lock_free_channel"):wait { within = orrery.seconds(10) }.status):to_be(0)
    expect(locks, "locks taken at " .. #places .. " places"):to_be(0)
    expect(elsewhere, "locks taken elsewhere"):to_be_at_least(500) -- the trace is not blind
    expect(refused, "calls that found it full or empty"):to_be_at_least(20)
    expect(overlapping, "calls that overlap others"):to_be_at_least(40)
    return check
end

describe("a lock-free channel", function()
    for seed = 1, seeds do
        it("is linearizable and takes no lock, seed " .. seed, function()
            local check = run(seed)
            expect(check.operations, "calls"):to_be_at_least(240)
            orrery.note(string.format("%d calls, up to %d states at once", check.operations, check.most))
        end)
    end
end)
