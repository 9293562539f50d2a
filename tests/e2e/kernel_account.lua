-- What the kernel counts, against what the simulator counts: time of threads and CPUs to the cycle, calls and pages of processes.

-- covers: ST-07, ST-08
for _, cpus in ipairs { 1, 3 } do
    it("the time of every thread and CPU is to the cycle what the simulator counts, on " .. cpus .. " CPUs", function()
        local m = orrery.machine { kernel = "orrery", memory = "64M", cpus = cpus }:boot()
        local last, ran, idle, busy, compared = {}, {}, {}, {}, 0
        local function key(thread) return thread:address() .. " " .. thread.tid.number end
        local function is_free() -- no account is being written
            for c = 0, cpus - 1 do
                if m.sym.cpu_table[c].queue.lock.holder ~= 0xffffffff then return false end
            end
            return true
        end
        while not is_free() do m:run(7) end
        for _, task in ipairs(m.kernel.tasks()) do
            ran[key(task.place)] = task.place.sched.run_cycles
        end
        for c = 0, cpus - 1 do
            local cpu = m.sym.cpu_table[c]
            last[c], idle[c], busy[c] = cpu.accounted, cpu.idle_cycles, cpu.busy_cycles
        end
        -- What lies between two readings of the clock in the kernel is the time of who runs at the second: a switch comes
        -- right after the reading that decided on it.
        for _, range in ipairs(m:inlined("arch_cycles")) do
            for at in m:read(range.first, range.last - range.first + 1):gmatch("()\x0f\x31") do
                m:probe(range.first + at - 1, function(c, cycle)
                    local cpu = m.sym.cpu_table[c]
                    local thread = cpu.current:deref()
                    local name, passed = key(thread), cycle - last[c]
                    local sums = thread:address() == cpu.idle:value() and idle or busy
                    ran[name], sums[c], last[c] = (ran[name] or 0) + passed, sums[c] + passed, cycle
                end)
            end
        end
        local function compare()
            local rest = {}
            for c = 0, cpus - 1 do
                local cpu = m.sym.cpu_table[c]
                local pending = last[c] - cpu.accounted
                rest[key(cpu.current:deref())] = pending
                expect(cpu.idle_cycles + (cpu.account_idle ~= 0 and pending or 0), "idle cycles of CPU " .. c):to_be(idle[c])
                expect(cpu.busy_cycles + (cpu.account_idle == 0 and pending or 0), "busy cycles of CPU " .. c):to_be(busy[c])
            end
            for _, task in ipairs(m.kernel.tasks()) do
                local name = key(task.place)
                if task.state ~= "dead" then
                    expect(task.place.sched.run_cycles + (rest[name] or 0), "cycles of " .. task.name .. " " .. name):to_be(ran[name] or 0)
                    compared = compared + 1
                end
            end
        end
        local loads = { m:command("forkstorm --processes 30 --depth 3"), m:command("threadtest a_mutex_lets_one_in conditions_pass_everything_on"),
            m:command("ipctest calls_are_answered_word_for_word") }
        for _ = 1, 60 do
            m:run(orrery.us(97))
            if is_free() then compare() end
        end
        for _, load in ipairs(loads) do expect(load:wait().status, load.line):to_be(0) end
        orrery.note(compared .. " comparisons")
        expect(compared, "threads compared"):to_be_above(300)
    end)
end

-- covers: ST-07 (calls, pages)
it("the calls of every process and the pages that it has are what the simulator counts", function()
    local PHYSMAP <const>, PRESENT <const>, FRAME <const>, ENTRIES <const> = 0xffff800000000000, 1, 0x000ffffffffff000, 512
    local m = orrery.machine { kernel = "orrery", memory = "64M", cpus = 2 }:boot()
    local calls, told = {}, 0
    local function counted(process)
        local sum, node, head = process.syscalls, process.threads.next:value(), process.threads:address()
        local offset = m.sym("thread", 0):offsetof("process_node")
        while node ~= head do
            sum, node = sum + m.sym("thread", node - offset).syscalls, m.sym("list", node).next:value()
        end
        return sum
    end
    -- Present leaves below the kernel's half, and tables.
    local function walk(table_address, level)
        local entries = assert(m:read(PHYSMAP + table_address, 4096))
        local leaves, tables = 0, 1
        for i = 0, (level == 4 and ENTRIES // 2 or ENTRIES) - 1 do
            local entry = string.unpack("<I8", entries, i * 8 + 1)
            if entry & PRESENT ~= 0 and level == 1 then
                leaves = leaves + 1
            elseif entry & PRESENT ~= 0 then
                local below, more = walk(entry & FRAME, level - 1)
                leaves, tables = leaves + below, tables + more
            end
        end
        return leaves, tables
    end
    local function processes()
        local found = {}
        for _, process in ipairs(m.kernel.objects("process", "process")) do
            if process.state == m.sym.PROCESS_LIVE then found[process.pid.number] = process end
        end
        return found
    end
    for pid, process in pairs(processes()) do calls[pid] = counted(process) end
    m:on_entry("syscall_entry", function(c)
        local pid = m.kernel.current_process(c).pid.number
        calls[pid] = (calls[pid] or 0) + 1
    end)
    -- Those that have ended, the short way of messages among what they did.
    local ended, wrong = 0, {}
    m:on_entry("process_remove_thread_locked", function(c)
        local process = m.sym("process", m:register(c, "rdi"))
        local thread = m.sym("thread", m:register(c, "rsi"))
        local pid = process.pid.number
        if process.thread_count ~= 1 or not calls[pid] then return end
        ended = ended + 1
        if process.syscalls + thread.syscalls ~= calls[pid] then
            wrong[#wrong + 1] = string.format("%s: %d of %d", process.name:string(), process.syscalls + thread.syscalls, calls[pid])
        end
    end)
    for _, line in ipairs { "forkstorm --processes 20 --depth 3", "ipctest calls_are_answered_word_for_word",
        "ipctest messages_go_from_registers_to_registers" } do
        expect(m:command(line):wait().status, line):to_be(0)
    end
    m:run(orrery.ms(1))
    expect(wrong[1] or "none", "calls of a process that has ended"):to_be("none")
    expect(ended, "processes that have ended"):to_be_above(20)
    expect(m.sym.cpu_table[0].short_calls + m.sym.cpu_table[1].short_calls, "calls the short way"):to_be_above(300)
    for pid, process in pairs(processes()) do
        local name = process.name:string()
        expect(counted(process), "calls of " .. name):to_be(calls[pid])
        local leaves, tables = walk(process.space.table.root.number, 4)
        expect(process.space.stats.resident_pages, "pages of " .. name):to_be(leaves)
        expect(process.space.table.tables, "tables of " .. name):to_be(tables)
        told = told + 1
        orrery.note(string.format("%s: %d calls, %d pages, %d tables", name, calls[pid], leaves, tables))
    end
    expect(told, "processes"):to_be_at_least(2)
end)
