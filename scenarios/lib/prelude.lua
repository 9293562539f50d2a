-- The scenario language: what every scenario finds as globals. It is part of the binary.
--   orrery.machine{...}   describe / it / expect   orrery.ms, us, ns, seconds   orrery.histogram
-- The machine's own methods (run_until, wait_text, register, probe, ...) are listed in docs/lua-machine.md.

local TSC_HZ = 3000000000
local DRIVER_PORT = 1
local NEVER = math.maxinteger

-- ---- time: cycles of the 3 GHz time-stamp counter ----

function orrery.seconds(n) return math.floor(n * TSC_HZ) end
function orrery.ms(n) return math.floor(n * (TSC_HZ // 1000)) end
function orrery.us(n) return math.floor(n * (TSC_HZ // 1000000)) end
function orrery.ns(n) return math.floor(n * 3) end

-- ---- histograms: exact, from all samples ----

local Histogram = { __name = "histogram" }
Histogram.__index = Histogram

function orrery.histogram(name)
    return setmetatable({ name = name, samples = {}, sorted = true }, Histogram)
end

function Histogram:add(value)
    self.samples[#self.samples + 1] = value
    self.sorted = false
end

function Histogram:count() return #self.samples end

-- The smallest sample that at least p percent of all samples do not exceed (nearest rank).
function Histogram:percentile(p)
    if #self.samples == 0 then return nil, "no samples" end
    if not self.sorted then
        table.sort(self.samples)
        self.sorted = true
    end
    local rank = math.ceil(p / 100 * #self.samples)
    return self.samples[math.max(rank, 1)]
end

function Histogram:min() return self:percentile(0) end
function Histogram:p50() return self:percentile(50) end
function Histogram:p99() return self:percentile(99) end
function Histogram:max() return self:percentile(100) end

function Histogram:row()
    return string.format("%-24s n %6d   min %10d   p50 %10d   p99 %10d   max %10d", self.name, self:count(),
        self:min() or 0, self:p50() or 0, self:p99() or 0, self:max() or 0)
end

-- ---- the machine ----

local Machine = { __name = "machine" }
local Command = { __name = "command" }
Command.__index = Command

-- Own fields and methods first, then the kernel adapter (m.kernel), then the methods of the C layer.
function Machine.__index(self, key)
    local own = Machine[key]
    if own ~= nil then return own end
    local raw = rawget(self, "raw")
    local method = raw[key]
    if method == nil then error("a machine has no field '" .. tostring(key) .. "'", 2) end
    return function(_, ...) return method(raw, ...) end
end

-- options: as orrery.new_machine; kernel may be the name of an adapter in scenarios/kernels/ ("orrery"), which then
-- says which files to load and gives m.kernel.
function orrery.machine(options)
    local settings, adapter = {}, nil
    for key, value in pairs(options) do settings[key] = value end
    local name = options.kernel
    if type(name) == "string" and not name:find("[/.]") then
        adapter = require("kernels." .. name)
        settings.kernel = adapter.kernel
        settings.initrd = options.initrd or adapter.initrd
        settings.append = options.append or adapter.append
    end
    local raw, sym = orrery.new_machine(settings)
    local m = setmetatable({ raw = raw, sym = sym, driver_lines = {}, driver_seen = 0 }, Machine)
    -- own counters by name, and those of the machine: m.counters.page_walks
    m.counters = setmetatable({}, { __index = function(_, name) return raw:count((name:gsub("_", "-"))) end })
    if adapter then
        m.kernel = adapter.view(m)
        if adapter.panic then m:on_entry(adapter.panic, function(cpu) m:guest_crashed(cpu) end) end
    end
    orrery.current = m
    return m
end

-- A named counter (a histogram), made at the first use.
function Machine:counter(name)
    local c = rawget(self.counters, name)
    if not c then
        c = orrery.histogram(name)
        self.counters[name] = c
    end
    return c
end

-- Runs for so many cycles; returns why it stopped.
function Machine:run(cycles) return self:run_until(self:cycles() + cycles) end

-- Boots until the console prints until_text (default: what the adapter's kernel prints when it is ready).
function Machine:boot(options)
    options = options or {}
    local text = options.until_text or (self.kernel and self.kernel.ready_text)
    if not text then error("boot: until_text is missing", 2) end
    self:wait_for { text = text, within = options.within or orrery.seconds(60) }
    return self
end

local function deadline(self, options)
    return options.within and self:cycles() + options.within or NEVER
end

-- Waits for console text { text=, port=0, within=cycles } or for a predicate { when=function, every=cycles, within= }.
-- Errs, with the reason, when it does not come.
function Machine:wait_for(options)
    local limit = deadline(self, options)
    if options.text then
        local ok, why = self:wait_text(options.port or 0, options.text, limit)
        if not ok then
            error(string.format("waiting for %q: %s at cycle %d", options.text, why, self:cycles()), 2)
        end
        return
    end
    local every = options.every or orrery.us(10)
    while not options.when() do
        local stop = self:run_until(math.min(self:cycles() + every, limit))
        if stop ~= "cycle limit" then error("waiting for a predicate: " .. stop, 2) end
        if self:cycles() >= limit then error("waiting for a predicate: not within " .. options.within .. " cycles", 2) end
    end
end

-- Calls fn(cpu, cycle) before every execution of a symbol's first instruction; returns the probe's id.
function Machine:on_entry(symbol, fn)
    local address = assert(self:symbol(symbol))
    return self:probe(address, fn)
end

-- Calls fn(cpu, cycle, rax) when a call of the function returns; fn may set rax (m:set_register).
function Machine:on_return(symbol, fn)
    local active, placed = {}, {}
    return self:on_entry(symbol, function(cpu)
        local rsp = self:register(cpu, "rsp")
        local back = string.unpack("<i8", (assert(self:read(rsp, 8, cpu))))
        active[rsp + 8] = true -- the stack pointer after the return tells the call
        if placed[back] then return end
        placed[back] = self:probe(back, function(at, cycle)
            local here = self:register(at, "rsp")
            if active[here] then
                active[here] = nil
                fn(at, cycle, self:register(at, "rax"))
            end
        end)
    end)
end

-- Makes the next (or every, with options.always) call of a function return value without running it.
function Machine:fail_call(symbol, value, options)
    local id
    id = self:on_entry(symbol, function(cpu)
        if options and options.when and not options.when(cpu) then return end
        local rsp = self:register(cpu, "rsp")
        local back = string.unpack("<i8", (assert(self:read(rsp, 8, cpu))))
        self:set_register(cpu, "rax", value)
        self:set_register(cpu, "rsp", rsp + 8)
        self:set_register(cpu, "rip", back)
        if not (options and options.always) then self:unprobe(id) end
    end)
    return id
end

-- ---- the driver process on the second serial port ----

-- Reads the driver's next line; errs when it does not come in time.
local function driver_line(self, limit, what)
    local ok, why = self:wait_text(DRIVER_PORT, "\n", limit)
    if not ok then error(string.format("%s: no answer from the driver: %s at cycle %d", what, why, self:cycles()), 3) end
    local text = self:console(DRIVER_PORT)
    local first = self.driver_seen + 1
    local last = text:find("\n", first, true)
    self.driver_seen = last
    return (text:sub(first, last - 1):gsub("\r$", ""))
end

-- Sends a line to the driver and returns its first answer.
function Machine:ask(line, options)
    self:send(DRIVER_PORT, line .. "\n")
    return driver_line(self, deadline(self, options or { within = orrery.seconds(10) }), line)
end

-- Starts a program: "forkstorm --processes 1000". Returns a command; command:wait{within=} sets command.status.
function Machine:command(line)
    local answer = self:ask("run " .. line)
    local pid = answer:match("^started (%d+)")
    if not pid then error(string.format("run %s: %s", line, answer), 2) end
    return setmetatable({ machine = self, line = line, pid = tonumber(pid), from = self:cycles() }, Command)
end

function Command:wait(options)
    local m, limit = self.machine, deadline(self.machine, options or {})
    while not self.status do
        local line = driver_line(m, limit, self.line)
        local pid, status = line:match("^exit (%d+) (%-?%d+)")
        if tonumber(pid) == self.pid then
            self.status = tonumber(status)
            self.cycles = m:cycles() - self.from
        end
    end
    return self
end

-- ---- expectations ----

local Expectation = {}
Expectation.__index = Expectation

local function show(value)
    if math.type(value) == "integer" then
        local digits = string.format("%d", value)
        local sign, body = digits:match("^(%-?)(%d+)$")
        local grouped = body:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
        return sign .. grouped
    end
    if type(value) == "string" then return string.format("%q", value) end
    return tostring(value)
end

local function at_cycle()
    local m = orrery.current
    if not m then return "" end
    local cycles = m:cycles()
    return string.format("      at cycle %s (%.3f ms)", show(cycles), cycles / (TSC_HZ / 1000))
end

function expect(value, label) return setmetatable({ value = value, label = label }, Expectation) end

local function check(self, ok, text)
    if ok then return end
    error({ expectation = string.format("%s%s, got %s%s", self.label and self.label .. ": " or "", text,
        show(self.value), at_cycle()) }, 3)
end

function Expectation:to_be(other) check(self, self.value == other, "expected " .. show(other)) end
function Expectation:not_to_be(other) check(self, self.value ~= other, "expected anything but " .. show(other)) end
function Expectation:to_be_below(other) check(self, self.value < other, "expected less than " .. show(other)) end
function Expectation:to_be_above(other) check(self, self.value > other, "expected more than " .. show(other)) end
function Expectation:to_be_at_least(other) check(self, self.value >= other, "expected at least " .. show(other)) end
function Expectation:to_be_at_most(other) check(self, self.value <= other, "expected at most " .. show(other)) end

function Expectation:to_contain(text)
    check(self, type(self.value) == "string" and self.value:find(text, 1, true) ~= nil, "expected text with " .. show(text))
end

function Expectation:to_match(pattern)
    check(self, type(self.value) == "string" and self.value:find(pattern) ~= nil, "expected a match of " .. show(pattern))
end

-- ---- grouping and reporting ----

local results = { passed = 0, failed = 0, failures = {}, notes = {} }
orrery.results = results
local depth = 0

function describe(name, body)
    print(string.rep("  ", depth) .. name)
    depth = depth + 1
    body()
    depth = depth - 1
end

-- A line of the report under the test that is running.
function orrery.note(text) results.notes[#results.notes + 1] = text end

local function source_line(message)
    return type(message) == "string" and message or message.expectation
end

function it(name, body)
    local indent = string.rep("  ", depth)
    results.notes = {}
    local ok, message = xpcall(body, function(e)
        if type(e) == "table" and e.expectation then
            return { expectation = e.expectation, where = orrery.where(2) }
        end
        return { expectation = tostring(e), where = orrery.where(2) }
    end)
    if ok then
        results.passed = results.passed + 1
        print(string.format("%s  ok    %s", indent, name))
    else
        results.failed = results.failed + 1
        print(string.format("%s  FAIL  %-40s %s", indent, name, message.where))
        print(string.format("%s        %s", indent, source_line(message)))
    end
    for _, note in ipairs(results.notes) do print(indent .. "        " .. note) end
end
