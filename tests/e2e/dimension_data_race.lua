-- Purpose: finds data races between threads of a program, by the order that its atomic accesses make (happens-before, with vector
-- clocks): two accesses to one place, one of them a write and one of them not atomic, that nothing orders, are a race, in whatever
-- order this run has made them.
-- Expects: none in the dimension store and its pool, and one where there is one on purpose (`dimbench unguarded`).
-- Options: --set sites=..., made by tests/e2e/dimension_data_race.sh: each access with its operand, its size, its order in the
-- source and its line; --set part=PART of dimbench; --set races=N: how many are expected at least (0: none).
-- covers: DS-28 (X)
local user_program = require "user_program"

local CPUS <const>, GRAIN <const> = 6, 4 -- worker i runs on CPU i; bytes that are told apart
local part, expected = orrery.args.part or "store", orrery.args.races or 0

-- The accesses of the program: {address, kind (read, write, update), bytes, base, index, scale, displacement, order, place}.
local function sites()
    local found = {}
    for one in tostring(orrery.args.sites or ""):gmatch("[^,]+") do
        local at, kind, bytes, base, index, scale, displacement, order, place =
            one:match("^(%x+):(%a):(%d+):([%w-]+):([%w-]+):(%d):(-?%d+):([xs-]):(.+)$")
        found[#found + 1] = { at = tonumber(at, 16), reads = kind ~= "w", writes = kind ~= "r", bytes = tonumber(bytes),
            base = base ~= "-" and base, index = index ~= "-" and index, scale = tonumber(scale),
            displacement = tonumber(displacement), atomic = order ~= "-", orders = order == "s", place = (place:gsub("@", ":")) }
    end
    return found
end

-- What happened before what: clocks of threads and of places by which they synchronise; the last accesses to every place.
local function detector()
    local clocks, released, places, races, listed = {}, {}, {}, {}, 0
    for t = 0, CPUS - 1 do
        clocks[t] = {}
        for u = 0, CPUS - 1 do clocks[t][u] = t == u and 1 or 0 end
    end

    local function report(old, new)
        local what = old.place < new.place and old.place .. " and " .. new.place or new.place .. " and " .. old.place
        if not races[what] then listed = listed + 1 end
        races[what] = (races[what] or 0) + 1
    end

    -- One of the two is no atomic access, and the old one is not known to have happened before.
    local function conflicts(old, t, site) return old and not (old.atomic and site.atomic) and old.clock > clocks[t][old.thread] end

    local function touch(t, site, address)
        local place = places[address] or { reads = {} }
        places[address] = place
        if conflicts(place.write, t, site) then report(place.write, site) end
        local now = { thread = t, clock = clocks[t][t], atomic = site.atomic, place = site.place }
        if site.writes then
            for u = 0, CPUS - 1 do
                if u ~= t and conflicts(place.reads[u], t, site) then report(place.reads[u], site) end
            end
            place.write, place.reads = now, {}
        else
            place.reads[t] = now
        end
    end

    local d = {}

    function d.access(t, site, address)
        local order = released[address]
        if site.orders and site.reads and order then
            for u = 0, CPUS - 1 do clocks[t][u] = math.max(clocks[t][u], order[u]) end
        end
        for offset = 0, site.bytes - 1, GRAIN do touch(t, site, (address + offset) // GRAIN) end
        if site.orders and site.writes then
            local mine = clocks[t]
            released[address] = table.move(mine, 0, CPUS - 1, 0, {})
            mine[t] = mine[t] + 1
        elseif site.writes and not site.reads then
            released[address] = nil -- a plain store publishes nothing
        end
    end

    function d.found()
        local lines = {}
        for what, times in pairs(races) do lines[#lines + 1] = what .. " (" .. times .. ")" end
        return listed, table.concat(lines, "; ")
    end

    return d
end

describe("data races of dimbench " .. part, function()
    it(expected == 0 and "are not there" or "are found", function()
        local m = orrery.machine { kernel = "orrery", cpus = CPUS, memory = "64M", memory_model = "sc" }:boot()
        local program, seen, arrived, accesses = user_program(m, "dimbench"), detector(), 0, 0
        -- From the moment when all threads are there, which orders all that was before; the main thread comes back when they have ended.
        program.on_entry("start_together", function() arrived = arrived + 1 end)
        program.around("run_workers", function() end, function() arrived = 0 end)
        local list = sites()
        for _, site in ipairs(list) do
            program.probe(site.at, function(cpu)
                if arrived < CPUS then return end
                local address = site.displacement + (site.base and m:register(cpu, site.base) or 0)
                if site.index then address = address + m:register(cpu, site.index) * site.scale end
                accesses = accesses + 1
                seen.access(cpu, site, address)
                if math.random(200) == 1 then m:stall(cpu, m:register(cpu, "retired") + math.random(40), orrery.us(math.random(20))) end
            end)
        end
        local status, text = program.run(part .. " " .. CPUS)
        local count, lines = seen.found()
        orrery.note(string.format("%d places in the code, %s accesses, %d races", #list, orrery.grouped(accesses), count))
        for line in lines:gmatch("[^;]+") do orrery.note("unordered: " .. line:gsub("^ ", "")) end
        expect(status, text):to_be(0)
        expect(accesses, "accesses"):to_be_at_least(1000)
        if expected == 0 then
            expect(lines, "races"):to_be("")
        else
            expect(count, "races"):to_be_at_least(expected)
        end
    end)
end)
