-- Purpose: the start and the end of a dimension store when any step of the system below fails.
-- Expects: a failed start says which step failed and leaves nothing; an end goes on after each failure, logs it, and leaves nothing
-- but addresses that the system refused to take back.
-- covers: DS-04 (X), DS-31 (X)
local user_program = require "user_program"

local REGION <const>, METADATA <const> = 20 << 20, 2 << 20

local function booted()
    local m = orrery.machine { kernel = "orrery", cpus = 1, memory = "64M", memory_model = "sc" }:boot()
    return m, user_program(m, "dimbench")
end

-- Free frames when nothing of a program is left; what the kernel keeps for the next program was there before.
local function free_frames(m)
    m:ask("quiesce")
    return m.kernel.frames.free
end

-- What the running process is charged for: pages, areas and their bytes.
local function account(m)
    local space = m.kernel.current_process(0).space
    return { pages = space.stats.resident_pages, areas = space.area_count, bytes = space.stats.area_bytes }
end

-- Fails the n-th call of a kernel function between the first entry of a function of the program and its return; one for which `when`
-- returns false does not count. Returns a table in which `calls` is how many there were, `before` and `after` what the process was
-- charged for when it first asked the kernel for something inside, and when it first did so afterwards.
local function fail_inside(m, program, window, kernel_function, value, when)
    local seen, inside = { n = 0 }, false
    function seen.start(n) seen.n, seen.calls, seen.done, seen.before, seen.after = n, 0, false, nil, nil end
    program.around(window, function() inside = not seen.done end, function() inside, seen.done = false, true end)
    m:on_entry("syscall_dispatch", function(cpu)
        if not program.runs(cpu) then return end
        if inside and not seen.before then seen.before = account(m) end
        if seen.done and not seen.after then seen.after = account(m) end
    end)
    m:fail_call(kernel_function, value, { always = true, when = function(cpu)
        if not inside or not program.runs(cpu) or (when and not when()) then return false end
        seen.calls = seen.calls + 1
        return seen.calls == seen.n
    end })
    return seen
end

describe("a store whose start fails", function()
    it("tells each mapping that is refused, and leaves nothing", function()
        local m, program = booted()
        expect((program.run("start"))):to_be(0)
        local before = free_frames(m)
        local seen, n = fail_inside(m, program, "dim_store_init", "invoke_map", m.sym.STATUS_ERR_LIMIT), 0
        repeat
            n = n + 1
            seen.start(n)
            local status, text = program.run("start")
            local told = text:match("dimbench: start ([^\r\n]+)")
            local what = string.format("mapping %d: ", n)
            expect(status, what .. "status"):to_be(0) -- nothing was left, and the next start worked
            if seen.calls >= n then
                expect(told, what .. "error"):to_be(n == 1 and "the pool of metadata cannot be reserved (limit reached): reserved 0 backed 0" or
                    string.format("dimension %d: its region cannot be reserved (limit reached): reserved 0 backed 0", n - 2))
                for _, key in ipairs { "areas", "bytes" } do expect(seen.after[key], what .. key):to_be(seen.before[key]) end
            else
                expect(told):to_match("^works: ")
            end
        until seen.calls < n
        expect(n - 1, "mappings that failed"):to_be(15)
        expect(free_frames(m), "free frames"):to_be(before)
    end)

    it("survives each object that the kernel has no memory for", function()
        local m, program = booted()
        expect((program.run("start"))):to_be(0)
        local before = free_frames(m)
        local mapping, n, failed = false, 0, 0 -- what a page fault takes is not the store's affair
        m:on_entry("invoke_map", function() mapping = true end)
        m:on_return("invoke_map", function() mapping = false end)
        local seen = fail_inside(m, program, "dim_store_init", "slab_alloc_sized", 0, function() return mapping end)
        repeat
            n = n + 1
            seen.start(n)
            local status, text = program.run("start")
            local told = text:match("dimbench: start ([^\r\n]+)") or text
            if seen.calls >= n and not told:match("^works: ") then -- else the kernel has found memory and tried again
                failed = failed + 1
                expect(told, "error"):to_match("cannot be reserved %(no memory%): reserved 0 backed 0$")
            end
            expect(status, "status with shortage " .. n):to_be(0)
        until seen.calls < n
        orrery.note(string.format("%d allocations, %d starts failed", n - 1, failed))
        expect(n - 1, "allocations"):to_be_at_least(15)
        expect(failed, "starts that failed"):to_be_at_least(1)
        expect(free_frames(m), "free frames"):to_be(before)
    end)
end)

describe("a store whose end fails", function()
    for _, step in ipairs { "invoke_unmap", "invoke_map" } do
        it("goes on after each failure of " .. step, function()
            local m, program = booted()
            local seen, n, all, kept = fail_inside(m, program, "dim_store_close", step, m.sym.STATUS_ERR_LIMIT), 0, nil, 0
            seen.start(0)
            expect((program.run("end"))):to_be(0)
            local before = free_frames(m)
            all = seen.calls
            local whole = seen.after
            repeat
                n = n + 1
                seen.start(n)
                local status, text = program.run("end")
                local told, lines = text:match("dimbench: end ([^\r\n]+): lines (%d+)")
                local what = string.format("step %d: ", n)
                expect(status, what .. "status"):to_be(0)
                expect(seen.calls, what .. "steps, failed or not"):to_be(all) -- the rest still runs
                expect(told, what .. "error"):to_be("not everything could be given back (limit reached)")
                expect(lines, what .. "lines logged"):to_be("1")
                expect(text, what .. "the line"):to_match("# dimension %d+: [a-z ]+ failed: limit reached")
                expect(seen.after.pages, what .. "pages"):to_be_at_most(whole.pages)
                local left = seen.after.bytes - whole.bytes -- addresses of a reservation that the system did not take back
                if left ~= 0 then kept = kept + 1 end
                expect(left == 0 or left == REGION or left == METADATA, what .. "addresses left: " .. left):to_be(true)
            until n == all
            orrery.note(string.format("%d steps, addresses left after %d", all, kept))
            expect(all, "steps"):to_be_at_least(step == "invoke_unmap" and 15 + 4 or 4)
            expect(kept, "failures that leave addresses"):to_be(step == "invoke_unmap" and 15 or 0) -- 14 regions and the pool
            expect(free_frames(m), "free frames"):to_be(before)
        end)
    end
end)
