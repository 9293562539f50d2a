-- A capability is revoked after its user has found it and before that user waits: the wait ends all the same.
-- covers: SC-11 (X: a capability that goes before its user waits), IP-15 (X: revocation), CP-08 (X: who is about to wait)

local cpus = orrery.args.cpus or 4

for _, operation in ipairs { "endpoint_receive_locked", "endpoint_send_locked", "endpoint_call_locked" } do
    it("who is stopped in " .. operation .. " does not wait for ever", function()
        local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = "64M" }:boot()
        local from, till, overtaken = 0, 0, 0
        m:on_entry(operation, function(cpu, cycle) -- the lookup is over, the queue not yet joined
            from, till = cycle, cycle + orrery.ms(10)
            m:stall(cpu, m:register(cpu, "retired") + 1, orrery.ms(10))
        end)
        m:on_entry("cap_revoke", function(_, cycle)
            if from < cycle and cycle < till then overtaken = overtaken + 1 end
        end)
        local command = m:command("ipctest a_revocation_at_any_time_ends_the_wait")
        expect(command:wait { within = orrery.seconds(5) }.status):to_be(0)
        expect(overtaken, "revocations that overtook the wait"):to_be_at_least(1)
    end)
end
