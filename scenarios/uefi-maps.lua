-- Purpose: the kernel boots with UEFI memory maps that the scenario writes itself, through a loader in Lua.
-- Expects: whatever the order, the holes and the overlaps, exactly the memory that the map leaves to the kernel is managed, what
-- the firmware keeps is never given out, what only the boot needed comes back to the frame, and a storm runs.
-- Options: --set processors=N.
-- covers: BT-01, BT-03, BT-04, BT-06, BT-08, MM-05, MM-15

local handoff = require "kernels.handoff"
local PAGE <const>, MIB <const>, GIB <const> = 4096, 1 << 20, 1 << 30
local TOP <const> = 0xfff0000 -- first byte of the ACPI tables of a machine with 256 MiB

local function machine(options)
    options.kernel, options.cpus = "orrery", options.cpus or orrery.args.processors or 2
    return orrery.machine(options)
end

-- How strong a claim is (os/kernel/mm/region_types.def), and whose memory it makes: "free" and "back" go to the kernel at once
-- or after the boot, "kept" is the firmware's, "outside" is none of the kernel's.
local function claims(sym)
    return {
        [sym.EFI_CONVENTIONAL_MEMORY] = { 0, "free" }, [sym.EFI_BOOT_SERVICES_CODE] = { 1, "back" },
        [sym.EFI_BOOT_SERVICES_DATA] = { 1, "back" }, [sym.EFI_LOADER_CODE] = { 2, "back" },
        [sym.EFI_LOADER_DATA] = { 2, "back" }, [sym.EFI_ACPI_RECLAIM_MEMORY] = { 3, "back" },
        heap = { 4, "heap" }, block = { 5, "block" }, module = { 6, "module" }, image = { 9, "image" },
        [sym.EFI_RUNTIME_SERVICES_CODE] = { 11, "kept" }, [sym.EFI_RUNTIME_SERVICES_DATA] = { 11, "kept" },
        [sym.EFI_ACPI_MEMORY_NVS] = { 12, "kept" }, [sym.EFI_PERSISTENT_MEMORY] = { 13, "outside" },
        [sym.EFI_RESERVED_MEMORY] = { 14, "outside" }, [sym.EFI_UNUSABLE_MEMORY] = { 15, "outside" },
        [sym.EFI_MEMORY_MAPPED_IO] = { 16, "outside" }, [sym.EFI_MEMORY_MAPPED_IO_PORT_SPACE] = { 16, "outside" },
        [sym.EFI_PAL_CODE] = { 14, "outside" },
    }
end

-- The map and what the loader put into it, as { from, to, class }: disjoint, ascending, each byte with its strongest claim.
local function regions(loader)
    local known, list, edges, seen = claims(loader.m.sym), {}, {}, {}
    local function add(kind, base, bytes)
        if bytes > 0 then
            list[#list + 1] = { base, base + bytes, known[kind] or { 14, "outside" } }
            for _, edge in ipairs { base, base + bytes } do
                if not seen[edge] then edges[#edges + 1], seen[edge] = edge, true end
            end
        end
    end
    for _, d in ipairs(loader.map) do add(d[1], d[2], d[3] * PAGE) end
    local block, map, line = loader:bytes()
    add("block", loader.block, #block + #map + #line)
    add("heap", loader.heap[1], loader.heap[2])
    add("image", loader.image[1], loader.image[2])
    for _, module in ipairs(loader.modules) do add("module", module[1], module[2]) end
    table.sort(edges)
    table.sort(list, function(a, b) return a[1] < b[1] end)
    local found = {}
    for i = 1, #edges - 1 do
        local best
        for _, claim in ipairs(list) do
            if claim[1] > edges[i] then break end
            if claim[2] >= edges[i + 1] and (not best or claim[3][1] > best[1]) then best = claim[3] end
        end
        local last = found[#found]
        if best and last and last[2] == edges[i] and last[4] == best[1] then
            last[2] = edges[i + 1]
        elseif best then
            found[#found + 1] = { edges[i], edges[i + 1], best[2], best[1] }
        end
    end
    return found
end

-- Frames that any byte of the kernel's lies in, within [low, high).
local function managed(list, low, high)
    local frames, counted = 0, 0
    for _, r in ipairs(list) do
        if r[3] ~= "outside" then
            local first = math.max(r[1] // PAGE, counted, (low or 0) // PAGE)
            local stop = math.min((r[2] + PAGE - 1) // PAGE, (high or math.maxinteger) // PAGE)
            if stop > first then frames, counted = frames + stop - first, stop end
        end
    end
    return frames
end

local function whole_frames(list, class)
    local frames = 0
    for _, r in ipairs(list) do
        if r[3] == class then frames = frames + math.max(0, r[2] // PAGE - (r[1] + PAGE - 1) // PAGE) end
    end
    return frames
end

-- No frame of the firmware's is anything but reserved.
local function expect_kept(m, list)
    local wrong, seen = 0, 0
    for _, r in ipairs(list) do
        if r[3] == "kept" then
            for frame = r[1] // PAGE, (r[2] - 1) // PAGE do
                seen = seen + 1
                if m.sym.frame_table[frame].state ~= m.sym.FRAME_RESERVED then wrong = wrong + 1 end
            end
        end
    end
    expect(wrong, "frames of the firmware that the kernel took"):to_be(0)
    return seen
end

local function said(m, pattern) return tonumber(m:console(0):match(pattern)) end

local function stages(m)
    local found = {}
    for stage in m:console(0):gmatch("stage: ([%l ]+)") do found[#found + 1] = stage end
    return table.concat(found, ", ")
end

-- Enters the kernel and checks it against the model of its map.
local function expect_boot(loader)
    local list, m = regions(loader), loader:enter()
    m:boot()
    expect(m.kernel.frames.managed, "frames managed"):to_be(managed(list))
    expect(said(m, "frames in the map (%d+): ")):to_be(managed(list))
    expect(said(m, "temporary heap gave back (%d+) frames"), "frames of the heap"):to_be(whole_frames(list, "heap"))
    expect(said(m, "handoff block gave back (%d+) frames"), "frames of the block"):to_be(whole_frames(list, "block"))
    expect(said(m, "firmware and loader gave back (%d+) frames"), "frames of the boot"):to_be(whole_frames(list, "back"))
    expect_kept(m, list)
    m:ask("quiesce")
    local before = m.kernel.frames.free
    expect(m:command("forkstorm --processes 30 --depth 2"):wait().status):to_be(0)
    m:ask("quiesce")
    expect(m.kernel.frames.free, "free frames"):to_be(before)
    expect_kept(m, list)
    return list
end

-- A loader whose map is the scenario's; image, loader's area and initrd are claimed in it as a firmware does.
local function own_map(m, map)
    local loader, sym = handoff.loader(m), m.sym
    loader.map = map
    local function claim(kind, base, bytes)
        loader.map = handoff.claim(loader.map, kind, base // PAGE * PAGE, (base % PAGE + bytes + PAGE - 1) // PAGE)
    end
    claim(sym.EFI_LOADER_CODE, loader.image[1], loader.image[2])
    claim(sym.EFI_LOADER_DATA, loader.area, 64 * PAGE)
    for _, module in ipairs(loader.modules) do claim(sym.EFI_LOADER_DATA, module[1], module[2]) end
    return loader
end

local function span(kind, from, to) return { kind, from, (to - from) // PAGE } end

describe("a handoff block made by a scenario", function()
    it("boots with the firmware's own map, as PVH does", function()
        for cpus = 1, 4 do
            local m, pvh = machine { cpus = cpus }, machine { cpus = cpus }:boot()
            expect_boot(handoff.loader(m))
            expect(m.kernel.frames.managed):to_be(pvh.kernel.frames.managed)
            expect(stages(m), "stages"):to_be(stages(pvh))
        end
    end)

    it("does not depend on the loader's control registers", function()
        local loader = handoff.loader(machine {})
        loader.cr4 = 0x2206a8 -- DE, PAE, PGE, OSFXSR, OSXMMEXCPT, PCIDE, SMAP
        expect_boot(loader)
    end)

    it("boots with holes", function()
        local m = machine {}
        local ram = m.sym.EFI_CONVENTIONAL_MEMORY
        expect_boot(own_map(m, { span(ram, 0, 0x60000), span(ram, MIB, 3 * MIB), span(ram, 7 * MIB, 9 * MIB),
            span(ram, 0x1234000, 0x1235000), span(ram, 32 * MIB, 100 * MIB), span(ram, 200 * MIB, TOP) }))
    end)

    it("boots with overlaps: the strongest claim wins", function()
        local m = machine {}
        local sym = m.sym
        local loader = own_map(m, { span(sym.EFI_CONVENTIONAL_MEMORY, 0, 0x9e000), span(sym.EFI_CONVENTIONAL_MEMORY, MIB, TOP) })
        for i, kind in ipairs { sym.EFI_RUNTIME_SERVICES_DATA, sym.EFI_ACPI_MEMORY_NVS, sym.EFI_UNUSABLE_MEMORY,
            sym.EFI_BOOT_SERVICES_DATA, sym.EFI_MEMORY_MAPPED_IO, sym.EFI_ACPI_RECLAIM_MEMORY, sym.EFI_CONVENTIONAL_MEMORY,
            sym.EFI_PAL_CODE, sym.EFI_PERSISTENT_MEMORY, sym.EFI_MEMORY_MAPPED_IO_PORT_SPACE, sym.EFI_BOOT_SERVICES_CODE,
            sym.EFI_RUNTIME_SERVICES_CODE, sym.EFI_RESERVED_MEMORY } do
            loader.map[#loader.map + 1] = { kind, 32 * MIB + i * 3 * PAGE, 5 }
        end
        expect_boot(loader)
    end)

    it("boots with descriptors in any order, of any type, of any stride", function()
        for round, stride in ipairs { 40, 56, 4096 } do
            local m = machine {}
            local sym = m.sym
            local loader = own_map(m, { span(sym.EFI_CONVENTIONAL_MEMORY, 0, 0x9e000),
                span(sym.EFI_CONVENTIONAL_MEMORY, MIB, 64 * MIB), span(sym.EFI_BOOT_SERVICES_CODE, 64 * MIB, 66 * MIB),
                span(sym.EFI_RUNTIME_SERVICES_CODE, 66 * MIB, 67 * MIB), span(sym.EFI_PAL_CODE, 67 * MIB, 68 * MIB),
                span(0x70000000 + round, 68 * MIB, 69 * MIB), span(sym.EFI_CONVENTIONAL_MEMORY, 69 * MIB, TOP),
                span(sym.EFI_ACPI_RECLAIM_MEMORY, TOP, 256 * MIB), span(sym.EFI_MEMORY_MAPPED_IO, 0xfec00000, 0xfec01000) })
            for i = #loader.map, 2, -1 do
                local j = math.random(i)
                loader.map[i], loader.map[j] = loader.map[j], loader.map[i]
            end
            loader.stride = stride
            if stride == 4096 then loader.area = 24 * MIB end
            expect_boot(loader)
        end
    end)

    it("boots with 500 descriptors", function()
        local m = machine {}
        local sym = m.sym
        local kinds = { sym.EFI_CONVENTIONAL_MEMORY, sym.EFI_RUNTIME_SERVICES_DATA, sym.EFI_CONVENTIONAL_MEMORY,
            sym.EFI_BOOT_SERVICES_DATA, sym.EFI_CONVENTIONAL_MEMORY, sym.EFI_UNUSABLE_MEMORY }
        local loader = own_map(m, { span(sym.EFI_CONVENTIONAL_MEMORY, 0, 0x9e000), span(sym.EFI_CONVENTIONAL_MEMORY, MIB, 64 * MIB),
            span(sym.EFI_CONVENTIONAL_MEMORY, 192 * MIB, TOP) })
        local count = 500 - #loader.map
        for i = 0, count - 1 do
            local at = i * 263 % count -- every place once
            loader.map[#loader.map + 1] = { kinds[at % #kinds + 1], 64 * MIB + at * 60 * PAGE, 40 + at % 20 }
        end
        expect(#loader.map):to_be(500)
        expect_boot(loader)
    end)

    it("boots with several nodes that are not the firmware's", function()
        local m = machine { memory = "1G", cpus = 4 }
        local loader = handoff.loader(m)
        local bounds = { 0, 96 * MIB, 352 * MIB, 354 * MIB, GIB } -- node of each: 0, 2, 1, 3
        local node = { 0, 2, 1, 3 }
        for i = 1, 4 do
            loader.affinities[i] = { bounds[i], bounds[i + 1] - bounds[i], node[i] }
            loader.cpus[i][2] = node[i]
        end
        local list = expect_boot(loader)
        expect(m:console(0)):to_contain("memory: 4 nodes")
        local manager = m.sym.frame_manager
        expect(manager.node_count):to_be(4)
        for i = 1, 4 do
            local zones, sum = manager.nodes[node[i]].zones, 0
            for zone = 0, #zones - 1 do sum = sum + zones[zone].managed_frames end
            expect(sum, "frames of node " .. node[i]):to_be(managed(list, bounds[i], bounds[i + 1]))
            expect(manager.cpus[i - 1].node, "node of cpu " .. i - 1):to_be(node[i])
        end
    end)

    it("starts only the processors that the block lists", function()
        local m = machine { cpus = 4 }
        local loader = handoff.loader(m)
        loader.cpus = { { 0, 0 }, { 3, 0 }, { 2, 0, 0 } } -- the last one is not enabled
        loader:enter():boot()
        expect(m:console(0)):to_contain("cpu: 2 of 2 online")
        expect(m:register(3, "retired")):to_be_above(0)
        expect(m:register(1, "retired") + m:register(2, "retired")):to_be(0)
    end)

    it("boots with memory above 4 GiB", function()
        local m = machine { memory = "6G" }
        local loader = handoff.loader(m)
        local sym = m.sym
        loader.map = handoff.claim(loader.map, sym.EFI_RUNTIME_SERVICES_DATA, 5 * GIB, 64)
        loader.map = handoff.claim(loader.map, sym.EFI_BOOT_SERVICES_DATA, 6 * GIB + 16 * PAGE, 32)
        loader.heap = { 5 * GIB + 32 * MIB, 1 * MIB }
        expect_boot(loader)
    end)

    it("boots with descriptors that begin inside a page", function()
        local m = machine {}
        local sym = m.sym
        local loader = own_map(m, { span(sym.EFI_CONVENTIONAL_MEMORY, 0, 0x9e000), span(sym.EFI_CONVENTIONAL_MEMORY, MIB, 64 * MIB) })
        local map = loader.map
        map[#map + 1] = { sym.EFI_CONVENTIONAL_MEMORY, 64 * MIB + 0x800, 1000 }
        map[#map + 1] = { sym.EFI_CONVENTIONAL_MEMORY, 70 * MIB + 1, 1 } -- no whole frame at all
        map[#map + 1] = { sym.EFI_RUNTIME_SERVICES_DATA, 64 * MIB + 100 * PAGE + 0x123, 3 }
        map[#map + 1] = { sym.EFI_BOOT_SERVICES_DATA, 80 * MIB + 0xfff, 20 }
        map[#map + 1] = { sym.EFI_CONVENTIONAL_MEMORY, 192 * MIB - 0x10, 0x2000 }
        expect_boot(loader)
    end)

    it("boots with descriptors of length zero", function()
        local m = machine {}
        local sym, loader = m.sym, handoff.loader(m)
        for i = 0, 15 do loader.map[#loader.map + 1] = { i, 100 * MIB + i * PAGE, 0 } end
        loader.map[#loader.map + 1] = { sym.EFI_MEMORY_MAPPED_IO, 0, 0 }
        loader.map[#loader.map + 1] = { sym.EFI_CONVENTIONAL_MEMORY, (1 << 52) - 1, 0 }
        expect_boot(loader)
    end)

    it("ignores what it cannot manage: memory above 16 TiB", function()
        local m = machine {}
        local loader = handoff.loader(m)
        local list = regions(loader)
        loader.map[#loader.map + 1] = { m.sym.EFI_CONVENTIONAL_MEMORY, 17 << 40, 0x10000 }
        loader:enter():boot()
        expect(m.kernel.frames.managed):to_be(managed(list))
    end)
end)
