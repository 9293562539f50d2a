-- For scenarios beside it that make calls of the kernel's functions of their own, in place of one that a thread is about to
-- make.
local state = require "kernels.orrery_state"

local borrow = { PHYSMAP = -0x800000000000 }

local REGISTERS <const> = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip", "rflags" }
local ADDRESS <const> = 0x000ffffffffff000

-- Of a page of 4 KiB, in the address space of a CPU.
function borrow.physical_of(m, cpu, address)
    local at = m:register(cpu, "cr3") & ADDRESS
    for shift = 39, 12, -9 do
        at = string.unpack("<i8", m:read(borrow.PHYSMAP + at + (address >> shift & 511) * 8, 8)) & ADDRESS
    end
    return at + (address & 0xfff)
end

-- A CPU is at the entry of a function. In place of that, on its stack, one call after the other is made as a coroutine says,
-- by yielding a function's name and its arguments; it gets what each returned, and on which CPU. Then the first call is made
-- after all.
function borrow.calls(m, cpu, script)
    local saved, self = {}, { thread = state.current_thread(m, cpu) }
    for _, name in ipairs(REGISTERS) do saved[name] = m:register(cpu, name) end
    local co, slot = coroutine.wrap(script), borrow.physical_of(m, cpu, saved.rsp)
    local home = m:read(saved.rsp, 8, cpu)
    local function call(at, result)
        local step = co(result, at)
        m:write_physical(slot, home) -- an interrupt after the return may have come over it
        if not step then
            for _, name in ipairs(REGISTERS) do m:set_register(at, name, saved[name]) end
            self.over = true
            m:unprobe(self.id)
            return
        end
        m:set_register(at, "rip", (m:symbol(step[1])))
        m:set_register(at, "rsp", saved.rsp)
        for i, name in ipairs { "rdi", "rsi", "rdx", "rcx" } do
            if step[i + 1] then m:set_register(at, name, step[i + 1]) end
        end
    end
    self.id = m:probe(string.unpack("<i8", home), function(at)
        local own = state.current_thread(m, at) == self.thread
        if own and m:register(at, "rsp") == saved.rsp + 8 then call(at, m:register(at, "rax")) end
    end)
    call(cpu)
    return self
end

return borrow
