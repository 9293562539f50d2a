-- The functions of one user program, for probes. Its symbols come from the command line, as tests/e2e/kernel_dimension_race.sh makes it:
--     --set symbols=NAME:HEX,NAME:HEX,...
-- Programs lie at the same addresses: probes are told apart by the address space, which is known by the name of its thread.
local ADDRESS <const> = 0x000ffffffffff000

local symbols = {}
for name, at in tostring(orrery.args.symbols or ""):gmatch("([^,:]+):(%x+)") do symbols[name] = tonumber(at, 16) end

-- The program called `name` on machine m.
return function(m, name)
    local program, spaces = {}, {}

    function program.address(symbol)
        return symbols[symbol] or error("the program has no symbol " .. symbol .. " (--set symbols=...)", 2)
    end

    -- Whether a CPU runs the program.
    function program.runs(cpu)
        local space = m:register(cpu, "cr3") & ADDRESS
        if spaces[space] == nil then spaces[space] = m.kernel.current_task(cpu).name == name end
        return spaces[space]
    end

    -- Runs the program to its end; returns its status and what the console has printed meanwhile.
    function program.run(arguments)
        local from = #m:console(0)
        spaces = {} -- the last one's is another one's now
        local status = m:command(name .. " " .. arguments):wait { within = orrery.seconds(20) }.status
        return status, m:console(0, from)
    end

    function program.probe(address, fn)
        return m:probe(address, function(cpu, cycle)
            if program.runs(cpu) then fn(cpu, cycle) end
        end)
    end

    function program.on_entry(symbol, fn) return program.probe(program.address(symbol), fn) end

    -- Calls before(cpu, cycle) when a function is entered, after(cpu, cycle, rax, what before has returned) when it has returned. Calls
    -- are told apart by their stack pointers.
    function program.around(symbol, before, after)
        local calls, placed = {}, {}
        program.on_entry(symbol, function(cpu, cycle)
            local rsp = m:register(cpu, "rsp")
            local back = string.unpack("<i8", assert(m:read(rsp, 8, cpu)))
            calls[rsp + 8] = { before(cpu, cycle) }
            if placed[back] then return end
            placed[back] = true
            program.probe(back, function(at, now)
                local call = calls[m:register(at, "rsp")]
                if not call then return end
                calls[m:register(at, "rsp")] = nil
                after(at, now, m:register(at, "rax"), call[1])
            end)
        end)
    end

    -- A word of the program's memory, as the CPU sees it.
    function program.word(address, cpu) return (string.unpack("<i8", assert(m:read(address, 8, cpu)))) end

    return program
end
