-- Purpose: a serial port whose line carries edges: a character that comes at any moment of its driver's work is taken, and what
-- the driver has to send goes on.
-- Expects: one more character before every instruction of the kernel's handler, and before every access of the driver that is a
-- program, while an answer is being sent; each time the whole answer, and the character is there afterwards.
-- covers: PS-17

local PORT <const> = 1

-- Sends a line while send_early(first character of the next line) may be called once, until the whole answer is there.
local function exchanges(m, line, answer_end)
    local rest = line .. "\n"
    return function(note)
        local before = #m:console(PORT)
        local early = false
        note(function()
            if early or #m:console(PORT) < before + 20 then return end
            early = true
            m:send(PORT, line:sub(1, 1))
        end)
        m:send(PORT, rest)
        m:wait_for { text = answer_end, port = PORT, within = orrery.ms(100) }
        rest = (early and line:sub(2) or line) .. "\n"
        return early
    end
end

describe("a serial port", function()
    it("loses nothing when a character comes at any instruction of the kernel's handler", function()
        local m = orrery.machine { kernel = "orrery", cpus = 2, memory = "64M" }:boot()
        local exchange, met = exchanges(m, "stats", "\nend\n"), 0
        for _, name in ipairs { "uart_interrupt", "receive_some", "transmit_some", "transmit_interrupt_update" } do
            for _, at in ipairs(m:symbol(name) and m:code_of(name) or {}) do
                local probe
                met = met + (exchange(function(come) probe = m:probe(at, come) end) and 1 or 0)
                m:unprobe(probe)
            end
        end
        orrery.note(met .. " instructions")
        expect(met):to_be_at_least(50)
    end)

    it("loses nothing when a character comes at any access of a driver that is a program", function()
        local m = orrery.machine { kernel = "orrery", cpus = 2, memory = "64M", append = "serial2=user -- shell" }
        m:wait_for { text = "$ ", port = PORT }
        local exchange, met, again = exchanges(m, "mem", "$ "), 0, true
        while again do
            local count, probes = 0, {}
            again = exchange(function(come)
                for i, name in ipairs { "decode_port_read", "decode_port_write" } do
                    probes[i] = m:probe((m:symbol(name)), function()
                        count = count + 1
                        if count > met then come() end
                    end)
                end
            end)
            for _, probe in ipairs(probes) do m:unprobe(probe) end
            met = met + (again and 1 or 0)
        end
        orrery.note(met .. " accesses")
        expect(met):to_be_at_least(20)
    end)
end)
