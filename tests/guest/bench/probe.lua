-- Purpose: what a probe costs that is off: a loop of tests/guest/bench, with a probe on each instruction of its function set and taken
-- away again before it runs (--set probed=run_NAME), or without any ever; scripts/bench compares the times. --set loop="NAME ROUNDS".
-- Expects: the loop ends, in the state that it always ends in.
local SETTLED <const> = 20000 -- cycles: the guest has begun

local m = orrery.machine { kernel = "build/guest/bench.elf", memory = "128M", append = orrery.args.loop }
if orrery.args.probed then
    local ids = {}
    for _, address in ipairs(m:code_of(orrery.args.probed)) do ids[#ids + 1] = m:probe(address, function() end) end
    m:run(SETTLED)
    for _, id in ipairs(ids) do m:unprobe(id) end
end
it("ends", function() expect(m:run(orrery.seconds(1000))):not_to_be("cycle limit") end)
