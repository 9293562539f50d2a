-- Purpose: a driver that is a program: uartd owns the second serial port by capabilities for its ports and its interrupt
-- line, and a shell talks through it.
-- Expects: what is typed there is served, every interrupt of the port goes to the program, and the kernel touches no register
-- of the port.
-- Options: --cpus N.
-- covers: NX-02, NX-03, IP-20 (a service found by its name), PS-17

local cpus = orrery.args.cpus or 2
local PORT <const> = 1 -- the second one

local function booted(memory)
    local m = orrery.machine { kernel = "orrery", cpus = cpus, memory = memory or "64M", append = "serial2=user -- shell" }
    m:wait_for { text = "uartd: ready" }
    m:wait_for { text = "$ ", port = PORT }
    return m
end

-- Types a line and returns what came until the next prompt.
local function type_line(m, line)
    m:run(orrery.ms(1)) -- the driver has done with the interrupts of the prompt
    local before = #m:console(PORT)
    m:send(PORT, line .. "\r")
    m:wait_for { text = "$ ", port = PORT, within = orrery.seconds(5) }
    return m:console(PORT, before):gsub("\r", "")
end

describe("a driver in user mode", function()
    it("serves a shell on the port that it drives", function()
        local m = booted()
        local interrupts, kernels = 0, 0
        m:on_entry("hardware_interrupt", function(cpu) if m:register(cpu, "rdi") == 3 then interrupts = interrupts + 1 end end)
        m:on_entry("uart_interrupt", function(cpu) if m:register(cpu, "rdi") == 1 then kernels = kernels + 1 end end)
        expect((m:console(PORT):find("Orrery: a kernel", 1, true))):to_be_at_least(1)
        local help = type_line(m, "help")
        expect(help:sub(1, 5)):to_be("help\n") -- the echo
        expect((help:find("kill PID", 1, true))):to_be_at_least(1)
        local free, managed = type_line(m, "mem"):match("frames (%d+) free (%d+)")
        expect(tonumber(managed)):to_be_at_least(1000)
        expect(tonumber(free)):to_be_at_least(tonumber(managed))
        expect((type_line(m, "cat motd"):find("wound back", 1, true))):to_be_at_least(1)
        expect((type_line(m, "cat nothing"):find("nothing: ", 1, true))):to_be_at_least(1)
        expect((type_line(m, "nonsense"):find("try help", 1, true))):to_be_at_least(1)
        expect((type_line(m, "run selftest none"):find("ended with", 1, true))):to_be_at_least(1)
        expect((type_line(m, "run nothing"):find("no such program", 1, true))):to_be_at_least(1)
        expect(interrupts, "interrupts that went to the program"):to_be_at_least(7) -- one a line
        expect(kernels, "interrupts that went to the kernel's driver"):to_be(0)
    end)

    it("lists processes and ends one", function()
        local m = booted()
        local pid = type_line(m, "run forkstorm --processes 100000 &"):match("started (%d+)")
        expect(pid ~= nil):to_be(true)
        expect((type_line(m, "ps"):find("\n" .. pid .. " ", 1, true))):to_be_at_least(1)
        local said = type_line(m, "kill " .. pid)
        expect((said:find("kill: ok", 1, true) or 0)):to_be_at_least(1)
        m:run(orrery.ms(50))
        said = said .. type_line(m, "") -- at this prompt at the latest
        expect((said:find(pid .. " ended with 9", 1, true) or 0)):to_be_at_least(1)
        expect(type_line(m, "ps"):find("\n" .. pid .. " ", 1, true)):to_be(nil)
        expect((type_line(m, "kill 1"):find("kill: ok", 1, true))):to_be(nil)
        expect((type_line(m, "kill 99999"):find("kill: ok", 1, true))):to_be(nil)
    end)

    it("answers while a fork bomb goes off", function()
        local m = booted("128M")
        local before = tonumber(type_line(m, "mem"):match("processes (%d+)"))
        expect(type_line(m, "run proctest --bomb 80 &"):match("started (%d+)") ~= nil):to_be(true)
        local most = 0
        for _ = 1, 4 do
            m:run(orrery.ms(10))
            most = math.max(most, tonumber(type_line(m, "mem"):match("processes (%d+)"))) -- within 5 seconds, or it fails
        end
        expect(most - before, "processes of the bomb"):to_be(256)
        expect((type_line(m, "run selftest pids"):find("ended with 0", 1, true) or 0)):to_be_at_least(1)
        m:run(orrery.ms(150))
        type_line(m, "") -- at a prompt the shell waits for what has ended
        expect(tonumber(type_line(m, "mem"):match("processes (%d+)")), "processes when it is over"):to_be(before)
    end)

    it("takes what comes faster than it reads", function()
        local m = booted()
        for _ = 1, 20 do
            local text = string.rep("x", 60)
            expect((type_line(m, text):find(text .. "?", 1, true) or 0)):to_be_at_least(1)
        end
    end)

    it("ends with its client, and the machine with all frames", function()
        local m = booted()
        m:send(PORT, "exit\r")
        m:wait_for { text = "init: free frames before minus after: 0" }
        expect((m:console(0):find("init: program ended with status 0", 1, true))):to_be_at_least(1)
    end)
end)
