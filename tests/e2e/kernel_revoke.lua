-- Purpose: revocations and deletions of capabilities while other CPUs stand still at every instruction of a lookup; each lookup that
-- succeeds is compared with the table of capabilities, from outside.
-- Expects: after a revocation has returned no CPU's lookup finds what it took, nor does any that began after a deletion; what a CPU
-- remembers of lookups is never older than the table; in a ping-pong of messages it remembers 95 of 100.
-- Options: --cpus N.
-- covers: CP-09 (X), CP-20 (X), CP-20 (B)

local cpus = orrery.args.cpus or 4
local RECORDS <const> = 128 -- LEAF_SLOTS
local REVOKED <const> = 8   -- CAP_FLAG_REVOKED
local STILL <const> = orrery.us(30)

local function booted(options)
    options = options or {}
    options.kernel, options.cpus, options.memory = "orrery", options.cpus or cpus, "64M"
    return orrery.machine(options):boot()
end


-- The id of the capability in the slot of a handle as memory is now, 0: none, or a revoked one.
local function id_in_table(m, space, handle)
    local slot = handle & 0xffffffff
    local leaf = m.sym("cap_space", space).root[slot // RECORDS]
    if leaf == 0 or leaf & 1 == 1 then return 0 end
    local record = m.sym("capability", leaf + slot % RECORDS * m.sym("capability", leaf):sizeof())
    return record.word & REVOKED == 0 and record.id or 0
end

-- Notes which capabilities are gone, and compares every lookup that succeeds with that and with the table.
local function observe(m)
    local self = { found = 0, hits = 0, revoked = 0, deleted = 0, late = 0, stale = 0, overtaken = 0, taker = nil, takes = 0 }
    local taking, active = {}, 0 -- by thread: what its revocation or deletion has taken; how many are under way
    local gone = {}              -- id -> which return of such a call it was; negative: of a deletion
    local returns = 0

    for _, name in ipairs { "cap_revoke", "cap_delete" } do
        m:on_entry(name, function(cpu)
            self.taker, self.takes = m.kernel.current_thread(cpu), self.takes + 1
            taking[self.taker], active = {}, active + 1
        end)
        m:on_return(name, function(cpu)
            local thread = m.kernel.current_thread(cpu)
            returns, active = returns + 1, active - 1
            for _, id in ipairs(taking[thread]) do gone[id] = name == "cap_revoke" and returns or -returns end
            local what = name == "cap_revoke" and "revoked" or "deleted"
            self[what], taking[thread] = self[what] + #taking[thread], nil
        end)
    end
    m:on_entry("tell_removed", function(cpu)
        local list = taking[m.kernel.current_thread(cpu)]
        if list then list[#list + 1] = m:register(cpu, "rsi") end
    end)

    local looking = {} -- by CPU: a lookup is not preempted
    m:on_entry("cap_lookup", function(cpu)
        local space, handle = m:register(cpu, "rdi"), m:register(cpu, "rsi")
        looking[cpu] = { space = space, handle = handle, out = m:register(cpu, "r8"), returns = returns, hit = true,
            id = id_in_table(m, space, handle), quiet = active == 0 }
    end)
    m:on_entry("lookup_record", function(cpu) looking[cpu].hit = false end)
    m:on_return("cap_lookup", function(cpu, _, rax)
        local look = looking[cpu]
        if rax & 0xffffffff ~= 0 then return end
        local id = m.sym("cap_view", look.out).id
        local went = gone[id]
        self.found, self.hits = self.found + 1, self.hits + (look.hit and 1 or 0)
        if went and (went > 0 or -went <= look.returns) then self.late = self.late + 1 end
        if look.quiet and look.id ~= id then self.stale = self.stale + 1 end
        if look.id == id and id_in_table(m, look.space, look.handle) ~= id then self.overtaken = self.overtaken + 1 end
    end)
    return self
end

describe("capabilities", function()
    it("are found by nobody after their revocation has returned, wherever a lookup stands still", function()
        local m = booted { memory_model = "sc" }
        local seen = observe(m)
        local points, stood, last = 0, 0, 0
        for _, name in ipairs { "cap_get", "cap_lookup", "lookup_record", "record_read", "object_try_get" } do
            for _, address in ipairs(m:code_of(name)) do
                local id
                points = points + 1
                id = m:probe(address, function(cpu) -- one of the users, once in the life of each capability
                    if seen.takes == last or not seen.taker or m.kernel.current_thread(cpu) == seen.taker then return end
                    last, stood = seen.takes, stood + 1
                    m:unprobe(id)
                    m:stall(cpu, m:register(cpu, "retired"), STILL)
                end)
            end
        end
        local line = "captest uses_race_with_revocations"
        for _ = 1, 2 do -- each capability that comes and goes is one point, so there must be enough of them
            expect(m:command(line):wait { within = orrery.seconds(20) }.status):to_be(0)
        end
        expect(seen.late, "lookups that found what was gone"):to_be(0)
        expect(seen.stale, "lookups that remembered what the table did not have"):to_be(0)
        expect(seen.revoked, "capabilities revoked"):to_be_at_least(300)
        expect(seen.deleted, "capabilities deleted"):to_be_at_least(100)
        expect(seen.hits, "lookups remembered"):to_be_at_least(1000)
        expect(seen.found - seen.hits, "lookups in the table"):to_be_at_least(300)
        expect(seen.overtaken, "lookups whose capability went meanwhile"):to_be_at_least(50)
        expect(stood, "instructions where one stood still, of " .. points):to_be_at_least(points * 7 // 10)
        orrery.note(string.format("stood still at %d of %d instructions", stood, points))
        orrery.note(string.format("%d lookups found something, %d of them remembered it; %d capabilities went meanwhile", seen.found,
            seen.hits, seen.overtaken))
    end)

    for _, line in ipairs { "kbench calls 0", "ipctest clients_and_servers_lose_nothing" } do
        it("are remembered by their CPU in " .. line, function()
            local m = booted()
            local function counters()
                local hits, misses = 0, 0
                for cpu = 0, m:cpus() - 1 do
                    local counts = m.sym.cpu_table[cpu].caps.counters
                    hits, misses = hits + counts[m.sym.CAP_COUNT_HIT], misses + counts[m.sym.CAP_COUNT_MISS]
                end
                return hits, misses
            end
            local hits, misses = counters()
            expect(m:command(line):wait { within = orrery.seconds(10) }.status):to_be(0)
            local hits_now, misses_now = counters()
            hits, misses = hits_now - hits, misses_now - misses
            expect(hits + misses, "lookups"):to_be_at_least(300)
            expect(hits * 100, "hits in percent of lookups, times the lookups"):to_be_at_least(95 * (hits + misses))
            orrery.note(string.format("%d of %d lookups: %.1f %%", hits, hits + misses, hits * 100 / (hits + misses)))
        end)
    end
end)
