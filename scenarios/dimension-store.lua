-- Purpose: the dimension server while clients query it: who touches the content of layers, seen in the page tables themselves.
-- Expects: every query succeeds and every content is whole; clients have read pages of the layers; the server's tables hold
-- not one page of them: it has not read a byte since it was loaded. A client that stands still while it opens a dimension,
-- and a server that does while it takes one back, lose nobody's content.
-- Options: --cpus N; --set clients=N; --set queries=N of each; --set initrd=FILE with files, of which --set simulated=N dimensions
-- have none and --set failed=N are damaged.
-- covers: DS-11, DS-18

local cpus = orrery.args.cpus or 4
local clients = orrery.args.clients or 6
local queries = orrery.args.queries or 60
local failed = orrery.args.failed or 0
local simulated = orrery.args.simulated or 12
local PRESENT <const>, ACCESSED <const>, ADDRESS <const>, PHYSMAP <const> = 1, 1 << 5, 0x000ffffffffff000, -0x800000000000
local LAYERS <const> = 4
local dimensions <const> = 14 - failed

-- Calls leaf(frame number, entry) for each page of the user half of a root table.
local function walk(m, root, leaf)
    local function table_at(physical, level, slots)
        local bytes = assert(m:read(PHYSMAP + physical, 4096, 0))
        for slot = 0, slots - 1 do
            local entry = string.unpack("<i8", bytes, slot * 8 + 1)
            if entry & PRESENT ~= 0 and level == 1 then
                leaf((entry & ADDRESS) >> 12, entry)
            elseif entry & PRESENT ~= 0 then
                table_at(entry & ADDRESS, level - 1, 512)
            end
        end
    end
    table_at(root, 4, 256)
end

-- Frames of the sealed regions: those of the layers, and those of the heads (the first of each), as sets.
local function content_frames(m)
    local payload, heads, count, regions = {}, {}, 0, 0
    for _, region in ipairs(m.kernel.objects("region", "region_object")) do
        if region.sealed ~= 0 then
            regions = regions + 1
            for i = 0, region.pages - 1 do
                local frame = region.frames[i]
                if i == 0 then heads[frame] = true else payload[frame], count = true, count + 1 end
            end
        end
    end
    return payload, heads, count, regions
end

-- How many pages of a set a table has, and how many of them were touched through it.
local function pages_of(m, root, set)
    local present, touched = 0, 0
    walk(m, root, function(frame, entry)
        if set[frame] then
            present = present + 1
            if entry & ACCESSED ~= 0 then touched = touched + 1 end
        end
    end)
    return present, touched
end

local function process_named(m, name)
    for _, task in ipairs(m.kernel.tasks()) do
        if task.name == name then return task.place.process end
    end
end

describe("the dimension server", function()
    it("touches no content that its " .. clients .. " clients read", function()
        local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "256M", memory_model = "sc", initrd = orrery.args.initrd }:boot()
        m:command("dimstore --load --fill 4096")
        m:wait_for { text = "dimstore: ready, " }
        m:wait_for { text = string.format("%d dimensions, %d simulated, %d failed", dimensions, simulated, failed) }
        local payload, heads, count, regions = content_frames(m)
        expect(regions, "sealed regions"):to_be(dimensions)
        expect(count, "pages of layers"):to_be(dimensions * LAYERS)
        local root = process_named(m, "dimstore").space.table.root.number
        local before, seen = pages_of(m, root, payload), select(2, pages_of(m, root, heads))
        expect(seen, "heads, which it read while it loaded: what is looked at does show"):to_be(dimensions)
        -- what it builds or inflates moves to its region without a look; only a plain file is checked where it stays
        if not orrery.args.initrd then expect(before, "pages of layers in the server's tables before"):to_be(0) end

        local read = 0 -- pages that clients had touched when they closed a view
        m:on_entry("invoke_unmap", function(cpu)
            if m.kernel.current_process(cpu).name:string() == "dimquery" then
                local _, touched = pages_of(m, m:register(cpu, "cr3") & ADDRESS, payload)
                read = math.max(read, touched)
            end
        end)
        expect(m:command("dimquery --attach --clients " .. clients .. " --queries " .. queries):wait().status):to_be(0)
        expect(read, "pages of layers that one client has read"):to_be_at_least(dimensions * LAYERS // 2)

        expect(pages_of(m, root, payload) - before, "pages of layers that have come to the server's tables"):to_be(0)
        orrery.note(string.format("%d pages of layers; a client has read %d of them, the server none", count, read))
    end)

    if orrery.args.initrd then return end
    it("keeps for a client what it has mapped, and nothing for one that is late", function()
        local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "256M", engine = "timed" }:boot()
        local late, maps, recalls, meetings, recalling = orrery.us(200), 0, 0, 0, false
        local function is(cpu, name) return m.kernel.current_process(cpu).name:string() == name end
        -- between the answer to OPEN and the mapping
        m:on_entry("invoke_region_map", function(cpu)
            if not is(cpu, "dimquery") then return end
            maps = maps + 1
            m:stall(cpu, 1, orrery.us(100 + maps * 379 % 1500)) -- switches meanwhile
        end)
        m:on_return("invoke_region_map", function(cpu)
            if not recalling or not is(cpu, "dimquery") then return end
            meetings = meetings + 1
            m:stall(cpu, 1, 4 * late) -- when it goes on, the recall is over
        end)
        -- between the look whether anybody maps a region and its recall
        m:on_entry("invoke_cap_revoke", function(cpu)
            if not is(cpu, "dimstore") then return end
            recalls, recalling = recalls + 1, true
            m:stall(cpu, 1, 2 * late)
        end)
        m:on_return("invoke_cap_revoke", function() recalling = false end)
        local command = m:command("dimquery --clients 6 --queries 60 --rounds 15 --pause-ns 20000 readers_see_whole_contents")
        expect(command:wait().status):to_be(0)
        expect(maps, "mappings"):to_be_at_least(100)
        expect(recalls, "recalls of regions that nobody mapped"):to_be_at_least(5)
        expect(meetings, "mappings made during a recall"):to_be_at_least(5)
        orrery.note(string.format("%d mappings, %d recalls, %d mappings made during one", maps, recalls, meetings))
    end)
end)
