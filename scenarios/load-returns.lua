-- Purpose: what load programs take comes back: capabilities of a storm of them, memory of one that takes it until it is ended.
-- Expects: frames and objects of the kernel before = after; a program that is ended for its memory leaves the others alone.
-- Options: --cpus N.
-- covers: PS-04 (frames, capabilities)

local function expect_same(m, before)
    local after = m.kernel.figures()
    for name, value in pairs(before) do expect(after[name], name):to_be(value) end
end

describe("load", function()
    it("capabilities of a storm come back", function()
        local m = orrery.machine { cpus = orrery.args.cpus or 4, memory = "64M", kernel = "orrery" }:boot()
        expect(m:command("capstorm 4 2"):wait({ within = orrery.seconds(20) }).status, "the first storm"):to_be(0)
        local before = m.kernel.figures()
        expect(m:command("capstorm 12 10"):wait({ within = orrery.seconds(60) }).status, "the storm"):to_be(0)
        expect_same(m, before)
    end)

    it("memory of a program that takes all of it comes back", function()
        local m = orrery.machine { cpus = orrery.args.cpus or 4, memory = "64M", kernel = "orrery" }:boot()
        expect(m:command("memhog 8"):wait({ within = orrery.seconds(20) }).status, "a small one"):to_be(0)
        local before = m.kernel.figures()
        local small = m:command("memhog 4 2")
        -- it is the largest itself: nobody else is ended for it
        expect(m:command("memhog"):wait({ within = orrery.seconds(60) }).status, "the one that takes all"):to_be(512)
        expect(small:wait({ within = orrery.seconds(20) }).status, "the one beside it"):to_be(0)
        expect_same(m, before)
    end)
end)
