-- Purpose: the whole system and its memory: programs that take and give it back in rounds, in pieces, and with little left.
-- Expects: every frame back, free memory in one piece again, and every program finished with 95 % of memory in use.
-- covers: TS-04, TS-08, TS-15, MM-19 (S)

local function booted(memory)
    local m = orrery.machine { kernel = "orrery", cpus = 2, memory = memory, memory_model = "sc" }:boot()
    m:ask("quiesce")
    return m
end

-- Free frames, the longest free run, and how much of the free memory is of no use for 2 MiB pages, in permille.
local function pieces(m)
    m:ask("quiesce")
    local from = #m:console(0)
    expect(m:ask("memory")):to_be("dumped")
    local run, unusable = m:console(0, from):match("largest free run (%d+), unusable (%d+) permille")
    return m.kernel.frames.free, math.tointeger(tonumber(run)), math.tointeger(tonumber(unusable))
end

local function held(m, mebibytes)
    expect(m:wait_text(0, "memhog: " .. mebibytes .. " MiB held", m:cycles() + orrery.seconds(2))):to_be(true)
end

-- The CPUs' caches keep up to 64 frames each, from anywhere: so much stays in pieces.
local WHOLE <const> = 400

describe("the system", function()
    it("takes memory and gives it back, round after round", function()
        local m = booted("64M")
        local free = pieces(m)
        for round = 1, 8 do
            local hog, storm = m:command("memhog " .. 4 * round), m:command("forkstorm --processes 20")
            expect(hog:wait().status + storm:wait().status):to_be(0)
            local now, _, lost = pieces(m)
            expect(now, "free frames"):to_be(free)
            expect(lost, "unusable"):to_be_below(WHOLE)
        end
    end)

    it("lives with memory in pieces, which comes together again", function()
        local m = booted("64M")
        local free, run = pieces(m)
        local stays, goes = m:command("memhog 24 20"), m:command("memhog 24 1") -- page by page in turn, on two CPUs
        held(m, 24)
        held(m, 24)
        expect(goes:wait { within = orrery.seconds(3) }.status):to_be(0)
        local _, broken, lost = pieces(m)
        expect(broken, "longest free run"):to_be_below(run)
        expect(lost, "unusable"):to_be_at_least(WHOLE + 100)
        expect(m:command("selftest map_and_unmap map_at_once copy_on_write_isolates"):wait().status):to_be(0)
        expect(stays:wait { within = orrery.seconds(30) }.status):to_be(0)
        local now, longest, left = pieces(m)
        expect(now, "free frames"):to_be(free)
        expect(longest, "longest free run"):to_be_at_least(run // 2)
        expect(left, "unusable"):to_be_below(WHOLE)
    end)

    it("finishes every program with 95 % of memory in use", function()
        local m = booted("256M")
        local frames = m.kernel.frames
        local captest = "captest -nasty_arguments_hurt_nobody_else -memory_of_the_dead_is_empty" -- these ask for all the memory there is
        local before = frames.free
        local mebibytes = (before - frames.managed // 20) // 256 + 1 -- and its page tables
        local hog = m:command(string.format("memhog %d 30", mebibytes))
        held(m, mebibytes)
        for _, line in ipairs { "forkstorm --processes 100 --depth 3", "selftest", captest, "ipctest", "dimtest" } do
            expect(frames.free * 20, "free frames before " .. line):to_be_below(frames.managed)
            expect(m:command(line):wait { within = orrery.seconds(20) }.status, line):to_be(0)
            m:ask("quiesce")
        end
        expect(m:console(0):match("# disturbed[^\r\n]*"), "a test that was disturbed"):to_be(nil)
        expect(hog:wait { within = orrery.seconds(40) }.status, "the hog"):to_be(0)
        m:ask("quiesce")
        expect(frames.free + frames.dma, "free frames, and those that captest has made memory for DMA"):to_be(before)
    end)
end)
