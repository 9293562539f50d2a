-- A boot loader for the kernel in os/: makes the handoff block (os/abi/handoff.h) from the kernel's own types, puts it into the
-- memory of a machine that has not run yet, and lets the machine enter the kernel in 64-bit mode as a UEFI loader would.
--
--     local handoff = require "kernels.handoff"
--     local m = orrery.machine { kernel = "orrery" }
--     local loader = handoff.loader(m)                       -- what the machine's firmware says
--     loader.map = { { m.sym.EFI_CONVENTIONAL_MEMORY, base, pages }, ... }   -- or what the scenario wants
--     loader:set("cpus[1].node", 1)                          -- any field of the block, by its path
--     loader:enter()
--     m:boot()
--
-- Fields that may be changed before enter: map, stride, line (command line), heap, modules, cpus, affinities, area, cr4.

local handoff = {}

local PAGE <const> = 4096
local DEFAULT_AREA <const> = 8 << 20
local TABLES <const>, STUB <const>, HEAP <const>, BLOCK <const> = 0, 3 * PAGE, 4 * PAGE, 20 * PAGE
local HEAP_BYTES <const> = 16 * PAGE
local CPU_BOOT <const>, CPU_ENABLED <const> = 1, 2

local function pages(bytes) return (bytes + PAGE - 1) // PAGE end

-- struct hvm_start_info (Xen public headers, "arch-x86/hvm/start_info.h"), as the machine's own boot left it for another entry.
local function read_firmware(m)
    local info = m:read(m:register(0, "rbx"), 56)
    local magic, _, _, modules, module_list, line, root, map, entries = string.unpack("<I4I4I4I4I8I8I8I8I4", info)
    assert(magic == 0x336ec578, "handoff: the machine was not loaded through PVH")
    local found = { acpi = root, map = {}, modules = {}, line = m:read(line, 1024):match("^[^\0]*") }
    for i = 0, entries - 1 do
        local base, bytes, kind = string.unpack("<I8I8I4", m:read(map + 24 * i, 24))
        found.map[i + 1] = { kind, base, bytes // PAGE }
    end
    for i = 0, modules - 1 do
        local base, bytes = string.unpack("<I8I8", m:read(module_list + 32 * i, 32))
        found.modules[i + 1] = { base, bytes, i == 0 and "initrd" or "module" }
    end
    return found
end

local function efi_types(m)
    local sym = m.sym
    return { [1] = sym.EFI_CONVENTIONAL_MEMORY, [3] = sym.EFI_ACPI_RECLAIM_MEMORY, [4] = sym.EFI_ACPI_MEMORY_NVS,
        [5] = sym.EFI_UNUSABLE_MEMORY, [7] = sym.EFI_PERSISTENT_MEMORY }
end

-- Takes [base, base + count pages) out of a map's descriptors and adds it as one of its own, as AllocatePages does.
function handoff.claim(map, kind, base, count)
    local stop, kept = base + count * PAGE, {}
    for _, d in ipairs(map) do
        local from, to = d[2], d[2] + d[3] * PAGE
        if to <= base or from >= stop then
            kept[#kept + 1] = d
        else
            if from < base then kept[#kept + 1] = { d[1], from, (base - from) // PAGE } end
            if to > stop then kept[#kept + 1] = { d[1], stop, (to - stop) // PAGE } end
        end
    end
    kept[#kept + 1] = { kind, base, count }
    table.sort(kept, function(a, b) return a[2] < b[2] end)
    return kept
end

-- Offset and size of a field of struct handoff: "magic", "memory_map.stride", "cpus[1].flags".
local function locate(m, path)
    local place, offset, words = m.sym("handoff", 0), 0, {}
    for word in path:gmatch("[^.%[%]]+") do words[#words + 1] = math.tointeger(tonumber(word)) or word end
    local last = table.remove(words)
    for _, word in ipairs(words) do
        local inner = place[word]
        offset = offset + (math.type(word) and word * inner:sizeof() or place:offsetof(word))
        place = inner
    end
    return offset + place:offsetof(last), place:sizeof(last)
end

-- bytes with a value at a field: a whole number, or a text.
local function put(m, bytes, path, value)
    local offset, size = locate(m, path)
    local piece = type(value) == "string" and value .. ("\0"):rep(size - #value) or
        string.pack("<I8", value):sub(1, size)
    return bytes:sub(1, offset) .. piece .. bytes:sub(offset + size + 1)
end

local Loader = {}
Loader.__index = Loader

-- Any field of the block, over what the loader would put there.
function Loader:set(path, value)
    self.changes[#self.changes + 1] = { path, value }
    return self
end

-- Any bytes of the block or, with map, of the memory map.
function Loader:patch(offset, bytes, map)
    self.patches[#self.patches + 1] = { offset, bytes, map or false }
    return self
end

-- So many nodes: an equal part of the memory (all of it below the devices, so at most 2 GiB) for each, every processor on the next.
function Loader:split(nodes)
    local stop = 0
    for _, d in ipairs(self.map) do stop = d[2] < 2 << 30 and math.max(stop, d[2] + d[3] * PAGE) or stop end
    local part = (stop + (1 << 20) - 1 >> 20 << 20) // nodes
    for node = 0, nodes - 1 do self.affinities[node + 1] = { node * part, part, node } end
    for i, cpu in ipairs(self.cpus) do cpu[2] = (i - 1) % nodes end
    return self
end

local function patched(bytes, patches, map)
    for _, p in ipairs(patches) do
        if p[3] == map then bytes = bytes:sub(1, p[1]) .. p[2] .. bytes:sub(p[1] + #p[2] + 1) end
    end
    return bytes
end

function Loader:map_bytes()
    local rows = {}
    for i, d in ipairs(self.map) do
        local row = string.pack("<I4I4I8I8I8I8", d[1], 0, d[2], 0, d[3], d[4] or 0)
        rows[i] = row .. ("\0"):rep(self.stride - #row)
    end
    return table.concat(rows)
end

-- The block, and what lies behind it: the map and the command line, blanks to the end of the page.
function Loader:bytes()
    local m = self.m
    local bytes = ("\0"):rep(m.sym("handoff", 0):sizeof())
    local map, at = self:map_bytes(), self.block + #bytes
    local line = self.line .. (" "):rep(-(#bytes + #map + #self.line) % PAGE)
    local function field(path, value) bytes = put(m, bytes, path, value) end
    local function span(path, place)
        field(path .. ".base", place[1])
        field(path .. ".size_bytes", place[2])
    end
    field("magic", "OHANDOFF")
    field("size", #bytes)
    field("version", 1)
    field("memory_map.address", at)
    field("memory_map.stride", self.stride)
    field("memory_map.version", 1)
    field("memory_map.count", #self.map)
    span("kernel_image", self.image)
    span("temporary_heap", self.heap)
    span("command_line", { at + #map, #line })
    field("acpi_rsdp", self.acpi)
    field("cpu_count", #self.cpus)
    field("module_count", #self.modules)
    field("affinity_count", #self.affinities)
    for i, cpu in ipairs(self.cpus) do
        local path = "cpus[" .. i - 1 .. "]."
        field(path .. "apic_id", cpu[1])
        field(path .. "acpi_id", i - 1)
        field(path .. "node", cpu[2])
        field(path .. "flags", cpu[3] or CPU_ENABLED | (i == 1 and CPU_BOOT or 0))
    end
    for i, module in ipairs(self.modules) do
        local path = "modules[" .. i - 1 .. "]."
        span(path .. "span", module)
        field(path .. "name", module[3])
    end
    for i, range in ipairs(self.affinities) do
        local path = "affinities[" .. i - 1 .. "]."
        span(path .. "span", range)
        field(path .. "node", range[3])
    end
    for _, change in ipairs(self.changes) do field(change[1], change[2]) end
    return patched(bytes, self.patches, false), patched(map, self.patches, true), line
end

-- Tables that map the first GiB one to one, and the code of a loader: from 32-bit protected mode to 64 bits and into the kernel.
local function firmware_code(self)
    local tables, stub = self.area + TABLES, self.area + STUB
    local directory = {}
    for i = 0, 511 do directory[i + 1] = string.pack("<I8", i << 21 | 0x83) end
    local function page(entry) return string.pack("<I8", entry | 3) .. ("\0"):rep(PAGE - 8) end
    local code = string.pack("<BI4", 0xb8, tables) .. "\x0f\x22\xd8" -- mov cr3
        .. "\xb8\x20\0\0\0\x0f\x22\xe0" -- mov cr4: PAE
        .. "\xb9\x80\0\0\xc0\x0f\x32\x0d\0\1\0\0\x0f\x30" -- EFER: LME
        .. "\xb8\x11\0\0\x80\x0f\x22\xc0" -- mov cr0: PG, ET, PE
        .. string.pack("<I3I4", 0x15010f, stub + 0x110) -- lgdt
    code = code .. string.pack("<BI4I2", 0xea, stub + #code + 7, 8) -- ljmp to the 64-bit code behind it
        .. "\x0f\x20\xe0" .. string.pack("<BI4", 0x0d, self.cr4) .. "\x0f\x22\xe0" -- more bits of cr4
        .. string.pack("<I2I8", 0xbf48, self.entry_argument or self.block) -- mov rdi
        .. string.pack("<I2I8", 0xb848, self.entry) .. "\xff\xe0" -- mov rax; jmp rax
    local gdt = string.pack("<I8I8I2I4", 0, 0x00af9b000000ffff, 15, stub + 0x100)
    return page(tables + PAGE) .. page(tables + 2 * PAGE) .. table.concat(directory) .. code .. ("\0"):rep(0x100 - #code) .. gdt
end

-- Puts everything into memory; the machine's next instruction is the loader's.
function Loader:enter()
    local m = self.m
    local block, map, line = self:bytes()
    m:write_physical(self.area + TABLES, firmware_code(self))
    m:write_physical(self.block, block .. map .. line)
    m:set_register(0, "rip", self.area + STUB)
    return m
end

-- A loader for a machine that has been made and has not run. What it hands over is what the machine's firmware says, on one node
-- (split says otherwise); area is where it keeps its tables, the temporary heap and the block.
function handoff.loader(m, area)
    local firmware, kinds, sym = read_firmware(m), efi_types(m), m.sym
    local link = assert(m:symbol("boot_entry")) - m:register(0, "rip") -- virtual minus physical
    local first, last = assert(m:symbol("image_start")) - link, assert(m:symbol("image_end")) - link
    local self = setmetatable({
        m = m, area = area or DEFAULT_AREA, map = {}, stride = 48, line = firmware.line, modules = firmware.modules, cpus = {},
        affinities = {}, acpi = firmware.acpi, image = { first, last - first }, cr4 = 0,
        entry = assert(m:symbol("boot_entry_handoff")) - link, changes = {}, patches = {},
    }, Loader)
    self.block, self.heap = self.area + BLOCK, { self.area + HEAP, HEAP_BYTES }
    for i, d in ipairs(firmware.map) do self.map[i] = { kinds[d[1]] or sym.EFI_RESERVED_MEMORY, d[2], d[3] } end
    self.map = handoff.claim(self.map, sym.EFI_LOADER_CODE, first, pages(last - first))
    self.map = handoff.claim(self.map, sym.EFI_LOADER_DATA, self.area, BLOCK // PAGE + 16)
    for cpu = 0, m:cpus() - 1 do self.cpus[cpu + 1] = { cpu, 0 } end
    return self
end

return handoff
