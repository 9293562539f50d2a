-- Purpose: how much two processes that share nothing can tell one another through the kernel, in bits a second of simulated
-- time: os/programs/covert, without and with what docs/design/security.md says against each channel.
-- Expects: a secret passes without an error when nothing stands against it, which shows that the channel is there and the measurement
-- finds it; with the measure against it less than 100 bits a second are left.
-- covers: CP-25 (B: what the kernel keeps, not what caches of hardware tell), TS-05 (S)

local HERTZ <const> = 3000000000
local LEFT <const> = 100 -- bits a second

-- Bits of a binary symmetric channel with so many errors (Shannon 1948, section 12).
local function capacity(bits, errors)
    local p = errors / bits
    if p == 0 or p == 1 then return bits end
    return bits * (1 + p * math.log(p, 2) + (1 - p) * math.log(1 - p, 2))
end

-- Runs a channel and gives bits a second and errors; machine: nil is the first cost table.
local function measure(channel, how, machine)
    local m = orrery.machine { kernel = "orrery", cpus = 2, memory = "128M", engine = "timed", machine = machine }:boot()
    local from = #m:console(0)
    expect(m:command("covert " .. channel .. " " .. how):wait { within = orrery.seconds(3) }.status):to_be(0)
    local bits, errors, cycles = m:console(0, from):match("covert: %w+ %w+ (%d+) bits, (%d+) wrong, (%d+) cycles")
    bits, errors, cycles = math.tointeger(tonumber(bits)), math.tointeger(tonumber(errors)), math.tointeger(tonumber(cycles))
    local rate = math.floor(capacity(bits, errors) * HERTZ / cycles)
    orrery.note(string.format("%-20s %-9s %7s bits a second, %2d of %d wrong, %s cycles a bit", channel .. (machine and "@" .. machine or ""), how, orrery.grouped(rate),
        errors, bits, orrery.grouped(cycles // bits)))
    return rate, errors
end

for _, channel in ipairs { "identities", "endpoint", "frames", "lookups", "processor" } do
    it("a secret through " .. channel, function()
        local rate, errors = measure(channel, "together")
        expect(errors, "wrong bits"):to_be(0)
        expect(rate):to_be_above(LEFT)
        local left = measure(channel, "apart")
        expect(left, "bits a second that are left"):to_be_below(LEFT)
    end)
end

-- With caches, frames tell nothing (half of the bits are wrong: a frame's lines cost more than where it came from), and what is left of
-- the endpoint cannot be told from none with so few bits.
for _, channel in ipairs { "identities", "lookups", "processor" } do
    it("a secret through " .. channel .. ", on zen4-like", function()
        local rate, errors = measure(channel, "together", "zen4-like")
        expect(errors, "wrong bits"):to_be(0)
        expect(rate):to_be_above(LEFT)
        expect(measure(channel, "apart", "zen4-like"), "bits a second that are left"):to_be_below(LEFT)
    end)
end
