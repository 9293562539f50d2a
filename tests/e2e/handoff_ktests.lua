-- The kernel's own tests with a block and a map of the scenario's: holes, several nodes, memory that only the boot needs.
-- covers: BT-04, BT-06, BT-07, BT-08, MM-10, MM-11

local handoff = require "kernels.handoff"
local PAGE <const>, MIB <const> = 4096, 1 << 20

it("the in-kernel tests pass on a map of the scenario's", function()
    local m = orrery.machine { kernel = "build/os/orrery-test.elf", initrd = "build/os/initrd.cpio", cpus = 4, memory = "256M" }
    local sym, loader = m.sym, handoff.loader(m)
    for i, kind in ipairs { sym.EFI_BOOT_SERVICES_DATA, sym.EFI_RUNTIME_SERVICES_CODE, sym.EFI_UNUSABLE_MEMORY,
        sym.EFI_ACPI_MEMORY_NVS, sym.EFI_ACPI_RECLAIM_MEMORY, sym.EFI_MEMORY_MAPPED_IO } do
        loader.map = handoff.claim(loader.map, kind, 64 * MIB + i * 300 * PAGE, 100)
    end
    loader.affinities = { { 0, 128 * MIB, 0 }, { 128 * MIB, 128 * MIB, 1 } }
    for i = 3, 4 do loader.cpus[i][2] = 1 end
    loader.line = "tlb=kept"
    loader:enter()
    expect(m:run(orrery.seconds(20))):to_be("debug-exit")
    local text = m:console(0)
    print((text:gsub("\r", "")))
    expect(text):to_match("\n1%.%.%d+")
    expect(text:find("not ok", 1, true) or 0, "place of a test that failed"):to_be(0)
end)
