-- Messages between CPUs that are late, and CPUs that stand still, as the seed says; and how many of them there were.
local disturb = {}

-- Of 61 messages from now on, `spread` apart, every other one on average is up to `late` us late; each CPU stands still
-- `stands` times, up to `still` us, each within `apart` instructions of the one before. Returns a function that counts what
-- has happened of it: came, late, sent, stood.
function disturb.arrange(m, how)
    local sent, late, due = m:count("apic-messages"), {}, {}
    for n = 0, 60 do
        if math.random(2) == 1 then
            late[#late + 1] = n * how.spread
            m:delay_ipi(n * how.spread, orrery.us(math.random(how.late)))
        end
    end
    for cpu = 0, m:cpus() - 1 do
        local at = m:register(cpu, "retired")
        due[cpu] = {}
        for i = 1, how.stands do
            at = at + math.random(how.apart)
            due[cpu][i] = at
            m:stall(cpu, at, orrery.us(math.random(how.still)))
        end
    end
    return function()
        local seen = { came = 0, late = #late, sent = m:count("apic-messages") - sent, stood = 0 }
        for _, n in ipairs(late) do seen.came = seen.came + (n < seen.sent and 1 or 0) end
        for cpu, list in pairs(due) do
            for _, at in ipairs(list) do seen.stood = seen.stood + (at <= m:register(cpu, "retired") and 1 or 0) end
        end
        orrery.note(string.format("%d of %d late messages came, of %d; CPUs stood still %d times", seen.came, seen.late,
            seen.sent, seen.stood))
        return seen
    end
end

return disturb
