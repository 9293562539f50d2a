-- The kernel, or its test image, entered with a block of a scenario's that says what the machine's firmware says; prints the
-- first console. What is expected of that is checked by the caller (tests/e2e/handoff.sh).
-- Options: --set kernel=FILE (the shipped kernel), line=TEXT (command line), cpus=N (2), nodes=N (1).
local handoff = require "kernels.handoff"
local args = orrery.args

it("the machine ends through the debug-exit port", function()
    local cpus, nodes = math.tointeger(tonumber(args.cpus or 2)), math.tointeger(tonumber(args.nodes or 1))
    local m = orrery.machine { kernel = args.kernel or "build/os/orrery.elf", initrd = "build/os/initrd.cpio", cpus = cpus,
        memory = "256M", numa = nodes, append = args.line or "" }
    handoff.loader(m):split(nodes):enter()
    local cause = m:run(orrery.seconds(30))
    print((m:console(0):gsub("\r", "")))
    expect(cause):to_be("debug-exit")
end)
