-- 300 corrupt handoff blocks, each for a kernel of its own that really boots; --set part=1..5 takes sixty of them, since a
-- scenario has at most 64 machines. Those with a status must be refused with it; whatever else a block says, the kernel comes
-- up or refuses it in words. None raises an exception.
-- covers: BT-01 (K)

local handoff = require "kernels.handoff"
local PAGE <const>, MIB <const> = 4096, 1 << 20
local PER_PART <const>, CASES <const> = 60, 300
local part = math.tointeger(tonumber(orrery.args.part or 1))

local cases = {}

local function case(status, name, change) cases[#cases + 1] = { status, name, change } end

-- Each value of a field is refused with the status.
local function field(status, path, ...)
    for _, value in ipairs { ... } do
        case(status, path .. string.format(" = %#x", value), function(l) l:set(path, value) end)
    end
end

field("MAGIC", "magic", 0, -1, 0x46464f444e41484e, 1 << 63)
field("VERSION", "version", 0, 2, 0xffffffff)
field("SIZE", "size", 0, 4095, 8, 0xffffffff)
field("MAP", "memory_map.stride", 0, 8, 32, 39, 44, 4104, 0xffffffff, 0x80000000, 41)
field("MAP", "memory_map.version", 0, 2, 0xffffffff)
field("MAP", "memory_map.count", 0, 1025, 0xffffffff, 0x10000000)
field("MAP", "memory_map.address", 0x900004, 0x900001, -8, 1 << 52, (1 << 52) - 8, 1 << 63)
field("UNREACHABLE", "memory_map.address", 1 << 32, 0xfffffff8, (1 << 51))
field("SPAN", "kernel_image.base", 0x100001, 0x101000, 1 << 52, -4096)
field("NOT_RAM", "kernel_image.base", 0, 1 << 40)
field("SPAN", "kernel_image.size_bytes", 0, 0x1000, -1, 1 << 52)
field("SPAN", "temporary_heap.base", 0x900010, 1 << 52, -1)
field("SPAN", "temporary_heap.size_bytes", 0, 0x1000, 0xf000, 0x10001, 0x201000, -1, 1 << 40)
field("OVERLAP", "temporary_heap.base", 0x100000, 0x180000, 8 * MIB + 20 * PAGE)
field("NOT_RAM", "temporary_heap.base", 0xfee00000, 64 * MIB, 0xf0000, 1 << 40, 0x90000)
field("SPAN", "command_line.size_bytes", 4097, -1, 1 << 32)
field("SPAN", "command_line.base", 1 << 52, -1)
field("UNREACHABLE", "command_line.base", 1 << 32, 0xffffffff)
field("NOT_RAM", "command_line.base", 0xfec00000, 0xf0000)
field("OVERLAP", "command_line.base", 0x100000, 8 * MIB + 20 * PAGE + 8)
field("SPAN", "acpi_rsdp", 1 << 52, -1)
field("LIST", "cpu_count", 0, 65, 0xffffffff, 2)
field("LIST", "module_count", 17, 0xffffffff)
field("LIST", "affinity_count", 65, 0xffffffff)
field("LIST", "cpus[0].flags", 0, 1, 2, 4, 7, 0xffffffff)
field("LIST", "cpus[0].apic_id", 1, 255, 0xffffffff)
field("LIST", "cpus[0].node", 8, 0xffffffff)
field("SPAN", "framebuffer.span.size_bytes", -1, 1 << 53)
field("LIST", "modules[0].span.size_bytes", -1, 1 << 52)
field("LIST", "modules[0].span.base", -1, 1 << 52)
field("OVERLAP", "modules[0].span.base", 0x100000, 8 * MIB + 4 * PAGE)
field("NOT_RAM", "modules[0].span.base", 0xfee00000, 1 << 33)
case("NOT_RAM", "a module where the old ROMs lie", function(l)
    l:set("modules[0].span.base", 0xe0000):set("modules[0].span.size_bytes", PAGE)
end)
case("LIST", "a name without end", function(l) l:set("modules[0].name", ("x"):rep(48)) end)
case("LIST", "two boot processors", function(l) l.cpus = { { 0, 0 }, { 1, 0, 3 } } end)
case("LIST", "a processor twice", function(l) l.cpus = { { 0, 0 }, { 0, 0, 2 } } end)
case("LIST", "another boot processor", function(l) l.cpus = { { 0, 0, 2 }, { 1, 0, 3 } } end)
case("LIST", "an affinity that wraps", function(l) l.affinities = { { -4096, 8192, 0 } } end)
case("LIST", "an affinity of node 8", function(l) l.affinities = { { 0, MIB, 8 } } end)
case("OVERLAP", "a module twice", function(l) l.modules[2] = l.modules[1] end)
for _, screen in ipairs { { 1024, 768, 4092, 0 }, { 1024, 769, 4096, 0 }, { 1024, 768, 4096, 1 }, { 0xffffffff, 1, 4096, 0 },
    { 1024, 0xffffffff, 0xffffffff, 0 } } do
    case("SPAN", "a screen of " .. table.concat(screen, " "), function(l)
        l:set("framebuffer.span.base", 0xe0000000):set("framebuffer.span.size_bytes", 768 * 4096)
        for i, name in ipairs { "width", "height", "pitch_bytes", "format" } do l:set("framebuffer." .. name, screen[i]) end
    end)
end
case("OVERLAP", "a screen in the kernel", function(l)
    l:set("framebuffer.span.base", 0x101000):set("framebuffer.span.size_bytes", 4096)
end)
for _, d in ipairs { { 7, 1 << 52, 1 }, { 7, 0, 1 << 40 }, { 7, (1 << 52) - 4096, 2 }, { 0, -4096, 1 }, { 7, MIB, -1 },
    { 7, 1 << 51, 1 << 39 }, { 7, (1 << 52) - 4096, 1 }, { 4, 1 << 51, 1 } } do
    case("MAP", string.format("a descriptor of type %d at %#x, %#x pages", d[1], d[2], d[3]),
        function(l) l.map[#l.map + 1] = d end)
end
for _, kind in ipairs { 0, 5, 6, 8, 10, 11, 12, 13, 14, 15, 0x80000000 } do
    case("NOT_RAM", "the kernel in memory of type " .. kind, function(l) l.map[#l.map + 1] = { kind, 0x140000, 1 } end)
    case("NOT_RAM", "the block in memory of type " .. kind, function(l) l.map[#l.map + 1] = { kind, l.block, 1 } end)
end
case("NOT_RAM", "a map without the loader's memory", function(l)
    for i, d in ipairs(l.map) do if d[2] == l.area then table.remove(l.map, i) end end
end)
for _, argument in ipairs { 0x800ff4, 0x800001, 1 << 32, 1 << 47, 1 << 63, -8, 0xfffffff8, 0x7fffffffffffffff } do
    case("UNREACHABLE", string.format("a block at %#x", argument), function(l) l.entry_argument = argument end)
end
for _, argument in ipairs { 0, 0x100000, 0xfee00000, 0x8000000, 0x814008 } do
    case("MAGIC", string.format("a block at %#x", argument), function(l) l.entry_argument = argument end)
end
local named = #cases

-- The rest: chance. Of the map only what no machine can check is left alone: how much memory there is.
local function random_bytes(n)
    local bytes = {}
    for i = 1, n do bytes[i] = string.char(math.random(3) == 1 and (math.random(2) - 1) * 255 or math.random(0, 255)) end
    return table.concat(bytes)
end

local function random_change(l)
    local size = l.m.sym("handoff", 0):sizeof()
    for _ = 1, math.random(4) do
        local place = math.random(8)
        if place <= 4 then
            l:patch(math.random(0, 160), random_bytes(math.random(4)))
        elseif place <= 6 then
            l:patch(math.random(0, size - 8), random_bytes(math.random(8)))
        elseif place == 7 then
            l:patch(48 * math.random(0, #l.map - 1) + 1 + math.random(0, 2), random_bytes(1), true) -- of the type
        else
            l:patch(48 * math.random(0, #l.map - 1) + 32 + math.random(0, 8), random_bytes(math.random(8)), true) -- attribute
        end
    end
end

for n = named + 1, CASES do case(nil, "chance " .. n, random_change) end

-- Boots; the status that the first step of the start-up failed with, by its number, or 0.
local function outcome(m)
    local status = 0
    m:on_entry("must", function(cpu)
        local value = m:register(cpu, "rdi") & 0xffffffff
        if status == 0 and value ~= 0 then status = value - (1 << 32) end
    end)
    local ready = m:wait_text(0, "init: ready", orrery.seconds(3))
    return status, ready or false
end

local function last_lines(m) return m:console(0):match("panic: [^\n]*") or m:console(0):sub(-60) end

describe("corrupt handoff blocks, part " .. part, function()
    for n = (part - 1) * PER_PART + 1, math.min(part * PER_PART, CASES) do
        local status, name, change = table.unpack(cases[n], 1, 3)
        it(name, function()
            local m = orrery.machine { kernel = "build/os/orrery.elf", initrd = "build/os/initrd.cpio", memory = "16M", cpus = 1 }
            for _ = 1, n do math.random() end -- another place of the generator for each
            local loader = handoff.loader(m)
            change(loader)
            loader:enter()
            local failed, ready = outcome(m)
            if status then
                expect(failed, last_lines(m)):to_be(m.sym["STATUS_ERR_HANDOFF_" .. status])
                expect(m:console(0)):to_contain("panic: start-up: handoff block: handoff: ")
            elseif not ready then
                expect(m:console(0), "the kernel's last words"):to_contain("panic: start-up: ")
                expect(failed):to_be_below(0)
            end
            if not ready then
                expect(m:run(1)):to_be("debug-exit")
                expect(m.counters.exceptions, "exceptions"):to_be(0)
            end
        end)
    end
end)

it("are at least 200, most of them refused for a reason that is told", function()
    expect(#cases):to_be(CASES)
    expect(named):to_be_at_least(150)
end)
