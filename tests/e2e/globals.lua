-- Purpose: globals of the kernel that are written in the boot only.
-- Expects: the same bytes after a storm of processes, and after a CPU that went and came, as when init was ready.
-- Options: --set kept=NAME:ADDRESS:BYTES,...  --set gone=...: those that are not even mapped any more (tests/e2e/globals.sh)

local function places(text)
    local found = {}
    for name, address, size in (text or ""):gmatch("([%w_]+):(%x+):(%x+)") do
        found[#found + 1] = { name = name, address = math.tointeger(tonumber("0x" .. address)), size = math.tointeger(tonumber("0x" .. size)) }
    end
    return found
end

it("globals of the boot keep their bytes", function()
    local m = orrery.machine { kernel = "orrery", cpus = 3, memory = "64M", memory_model = "sc" }:boot()
    local kept, gone = places(orrery.args.kept), places(orrery.args.gone)
    local function bytes(place) return assert(m:read(place.address, place.size, 0)) end
    for _, place in ipairs(kept) do place.before = bytes(place) end
    expect(m:command("forkstorm --processes 30 --depth 2"):wait().status):to_be(0)
    expect(m:command("selftest"):wait().status):to_be(0)
    expect(m:console(0):match("# disturbed[^\r\n]*"), "a test that was disturbed"):to_be(nil)
    expect(m:command("schedmix --ms 20 --events 2 cpus_go_and_come_under_load"):wait().status):to_be(0)
    expect(#kept, "globals that are kept"):to_be_at_least(10)
    expect(#gone, "globals that are gone"):to_be_at_least(2)
    for _, place in ipairs(gone) do expect(m:read(place.address, 1, 0), place.name):to_be(nil) end
    for _, place in ipairs(kept) do expect(bytes(place) == place.before, place.name):to_be(true) end
end)
