-- Purpose: prints the digest of the architectural state after a storm, for comparisons between builds and engines.
local m = orrery.machine { kernel = "../../build/os/orrery.elf", initrd = "../../build/os/initrd.cpio",
    append = "-- forkstorm --processes 60 --depth 3" }
m:run_until(orrery.seconds(30))
print("arch " .. m:arch_hash() .. " instructions " .. m:instructions() .. " cycles " .. m:cycles())
