-- Purpose: what the page tables in use allow, read out of the machine's own memory, not asked of the kernel; what the kernel
-- records of a fault.
-- Expects: SMEP, SMAP and write protection on in every CPU; no leaf of any process's tables writable and executable, in
-- neither half; user leaves in the user half only; an executable leaf of the kernel half only in the image; the kernel
-- never runs with a program's direction, alignment-check, trap or nested-task flag.
-- Of each program that violates the protection the record is the one that the program has foretold, field by field.
-- covers: VM-13

local PRESENT, WRITABLE, USER, LARGE, NO_EXECUTE = 1, 2, 4, 1 << 7, 1 << 63
local ADDRESS = 0x000ffffffffff000
local PHYSMAP <const> = -0x800000000000 -- 0xffff800000000000
local IMAGE <const> = -0x80000000

-- Visits every leaf that the tables in CR3 of a CPU reach: visit(virtual address, writable, user, executable).
local function walk(m, cpu, visit)
    local function table_at(physical, level, base, writable, user, executable)
        local bytes = assert(m:read(PHYSMAP + physical, 4096, cpu))
        local shift = 12 + 9 * (level - 1)
        for slot = 0, 511 do
            local entry = string.unpack("<i8", bytes, slot * 8 + 1)
            if entry & PRESENT ~= 0 then
                local at = base + (slot << shift)
                if level == 4 and slot >= 256 then at = at | (-1 << 48) end
                local w, u = writable and entry & WRITABLE ~= 0, user and entry & USER ~= 0
                local x = executable and entry & NO_EXECUTE == 0
                if level == 1 or entry & LARGE ~= 0 then
                    visit(at, w, u, x)
                else
                    table_at(entry & ADDRESS, level - 1, at, w, u, x)
                end
            end
        end
    end
    table_at(m:register(cpu, "cr3") & ADDRESS, 4, 0, true, true, true)
end

local m = orrery.machine { kernel = "orrery", cpus = 4, memory = "64M" }
m:boot()

describe("protection", function()
    it("SMEP, SMAP and write protection are on in every CPU", function()
        for cpu = 0, m:cpus() - 1 do
            expect(m:register(cpu, "cr4") >> 20 & 3, "CR4.SMEP and CR4.SMAP"):to_be(3)
            expect(m:register(cpu, "cr0") >> 16 & 1, "CR0.WP"):to_be(1)
            expect(m:register(cpu, "efer") >> 11 & 1, "EFER.NXE"):to_be(1)
        end
    end)

    it("nothing is writable and executable in any process", function()
        local seen, user_code, user_data, kernel_code, wrong = 0, 0, 0, 0, {}
        local function visit(at, writable, user, executable)
            local kernel_half = at < 0
            if writable and executable or user == kernel_half or kernel_half and executable and at < IMAGE then
                wrong[#wrong + 1] = string.format("%016x w=%s u=%s x=%s", at, writable, user, executable)
            end
            if user and executable then user_code = user_code + 1 end
            if user and writable then user_data = user_data + 1 end
            if kernel_half and executable then kernel_code = kernel_code + 1 end
        end
        m:on_entry("process_exit", function(cpu)
            seen = seen + 1
            if seen % 8 == 1 then walk(m, cpu, visit) end
        end)
        expect(m:command("forkstorm --processes 60 --depth 3"):wait().status):to_be(0)
        expect(seen, "processes"):to_be_at_least(60)
        expect(#wrong > 0 and wrong[1] or "none", "wrong leaves"):to_be("none")
        expect(math.min(user_code, user_data, kernel_code), "leaves of each kind"):to_be_at_least(8)
    end)

    it("flags of a program do not enter the kernel", function()
        local AC_NT_DF_TF <const> = 1 << 18 | 1 << 14 | 1 << 10 | 1 << 8
        local wrong, carried = 0, {}
        for _, entry in ipairs { "syscall_dispatch", "trap_dispatch" } do
            carried[entry] = 0
            m:on_entry(entry, function(cpu)
                if m:register(cpu, "rflags") & AC_NT_DF_TF ~= 0 then wrong = wrong + 1 end
                local program = m.sym("frame", m:register(cpu, "rdi")).rflags
                if program & (1 << 18 | 1 << 10) == 1 << 18 | 1 << 10 then carried[entry] = carried[entry] + 1 end
            end)
        end
        expect(m:command("selftest flags_stay_the_program_s single_steps_run_on"):wait().status):to_be(0)
        expect(math.min(carried.syscall_dispatch, carried.trap_dispatch), "entries with the flags"):to_be_at_least(1)
        expect(wrong, "entries with the flags on in the kernel"):to_be(0)
    end)

    -- What the processor and the kernel's structures say when the record is made, as the text of the record.
    local function record(m, cpu)
        local frame, thread = m.sym("frame", m:register(cpu, "rdi")), m.sym.cpu_table[cpu].current
        local address, reason = m:register(cpu, "rsi"), m:register(cpu, "rdx") << 32 >> 32
        local page_fault = frame.vector == 14
        local faults = page_fault and m:register(cpu, "cr2") or frame.rip
        local kinds = { [0] = "divide error", [3] = "breakpoint", [6] = "invalid opcode", [13] = "general protection",
            [14] = "page fault" }
        local reasons = { [0] = "", [m.sym.STATUS_ERR_BAD_ADDRESS & 0xffffffff] = ", bad address",
            [m.sym.STATUS_ERR_PROTECTION & 0xffffffff] = ", protection violation",
            [m.sym.STATUS_ERR_GUARD & 0xffffffff] = ", guard page" }
        if address ~= faults or frame.cs ~= 0x23 or frame.ss ~= 0x1b then return "not of this fault" end
        return string.format("process %d %s: killed by %s%s at 0x%x, instruction 0x%x, error 0x%x, thread %d",
            thread.process.pid.number, thread.process.name:string(), kinds[frame.vector], reasons[reason], address, frame.rip,
            frame.error, thread.tid.number)
    end

    it("the record of a fault is what the program has done", function()
        local from, seen = #m:console(0), {}
        local probe = m:on_entry("process_fault", function(cpu) seen[#seen + 1] = record(m, cpu) end)
        expect(m:command("selftest violations_leave_a_right_record"):wait().status):to_be(0)
        m:unprobe(probe)
        local console, n = m:console(0, from):gsub("\r", ""), 0
        for due, line in console:gmatch("# due: ([^\n]*)\n([^\n]*)") do
            n = n + 1
            expect(line, "printed"):to_be(due)
            expect(seen[n], "at the fault"):to_be(due)
        end
        expect(n, "records"):to_be(#seen)
        expect(n, "records"):to_be_at_least(12)
    end)
end)
