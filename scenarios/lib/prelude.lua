-- The scenario language: what every scenario finds as globals. It is part of the binary.
-- The annotations are for people, for docs/lua-machine.md and for the stubs of editors (scripts/make-docs makes both from them
-- and from sim/script/*.def). Every public function has them: a line of what it does, its parameters, what it returns.

local native, methods, create = ...
local need, misuse, fail = native.need, native.misuse, native.fail
local format, rep, floor = string.format, string.rep, math.floor
local setmetatable, type, tostring, pairs = setmetatable, type, tostring, pairs
local rawget, rawset, xpcall, pcall, error, print, require = rawget, rawset, xpcall, pcall, error, print, require
local ipairs, sort, concat, tonumber = ipairs, table.sort, table.concat, tonumber
local find_text, unpack_bytes = string.find, string.unpack
local max, ceil, math_type, to_integer = math.max, math.ceil, math.type, math.tointeger
local orrery = orrery -- whatever a scenario does to the global

local TSC_HZ = 3000000000
local DRIVER_PORT = 1
local NEVER = math.maxinteger
local LONGEST = 1 << 60

-- Digits in groups of three.
local function grouped(n)
    local sign, digits = format("%d", n):match("^(%-?)(%d+)$")
    return sign .. digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
end

-- A value on a few words of one line.
local function show(value)
    if math_type(value) == "integer" then return (grouped(value)) end
    if type(value) ~= "string" then return tostring(value) end
    local text = #value > 60 and value:sub(1, 57) .. "..." or value
    local quoted = '"' .. text:gsub("%c", { ["\n"] = "\\n", ["\t"] = "\\t" }):gsub("%c", "?") .. '"'
    return #value > 60 and format("%s (%s bytes)", quoted, grouped(#value)) or quoted
end

-- Checks a table of named arguments: names it does not know are mistakes. kinds: name -> kind.
local function take(what, options, kinds)
    need(options, "table?", what .. ": its options")
    options = options or {}
    for key in pairs(options) do
        if not kinds[key] then
            local known = {}
            for name in pairs(kinds) do known[#known + 1] = name end
            misuse(format("%s: there is no option '%s'; it takes %s", what, tostring(key), concat(known, ", ")))
        end
    end
    local taken = {}
    for name, kind in pairs(kinds) do taken[name] = need(options[name], kind, what .. ": " .. name) end
    return taken
end

-- A method's object: whoever writes '.' for ':' is told so.
local function check_self(self, class, call)
    if native.metatable(self) ~= class then misuse("call it with a colon: " .. call) end
end

-- A class whose objects have no other fields than their own and the class's.
local function new_class(name, what)
    local class = { __name = name, __metatable = false }
    class.__index = class
    return setmetatable(class, { __index = function(_, key) misuse(format("%s has no field '%s'", what, tostring(key))) end })
end

---What the command line gave: KEY of every --set KEY=VALUE, cpus when --cpus was given, and seed.
---@type table<string, string|number>
orrery.args = orrery.args

-- ---- time: cycles of the 3 GHz time-stamp counter ----

local function cycles_of(what, n, hz)
    need(n, "number", what .. ": n")
    if not (n >= 0 and n <= LONGEST / hz) then misuse(format("%s: %s is no length of time", what, tostring(n))) end
    return floor(n * hz)
end

---Seconds in cycles of the 3 GHz clock.
---@param n number
---@return integer cycles
function orrery.seconds(n) return cycles_of("seconds", n, TSC_HZ) end

---Milliseconds in cycles.
---@param n number
---@return integer cycles
function orrery.ms(n) return cycles_of("ms", n, TSC_HZ // 1000) end

---Microseconds in cycles.
---@param n number
---@return integer cycles
function orrery.us(n) return cycles_of("us", n, TSC_HZ // 1000000) end

---Nanoseconds in cycles.
---@param n number
---@return integer cycles
function orrery.ns(n) return cycles_of("ns", n, TSC_HZ // 1000000000) end

---A length of time for people: "71.4 us".
---@param cycles integer
---@return string
function orrery.duration(cycles)
    need(cycles, "number", "duration: cycles")
    for _, unit in ipairs { { "s", TSC_HZ }, { "ms", TSC_HZ // 1000 }, { "us", TSC_HZ // 1000000 } } do
        if cycles >= unit[2] then return format("%.1f %s", cycles / unit[2], unit[1]) end
    end
    return format("%.0f ns", cycles / (TSC_HZ // 1000000000))
end

---A whole number for people: "1,238,004".
---@param n integer
---@return string
function orrery.grouped(n) return (grouped(need(n, "integer", "grouped: n"))) end

-- ---- histograms: exact, from all samples ----

---Samples of whole numbers, all of them kept: what m:counter gives.
---@class Histogram
local Histogram = new_class("histogram", "a histogram")

---A histogram of your own that belongs to no machine.
---@param name string what :row calls it
---@return Histogram
function orrery.histogram(name)
    return setmetatable({ name = need(name, "string", "histogram: name"), samples = {}, sorted = true }, Histogram)
end

---Takes a sample.
---@param value integer
function Histogram:add(value)
    check_self(self, Histogram, "h:add(...)")
    self.samples[#self.samples + 1] = need(value, "integer", "add: value")
    self.sorted = false
end

---Number of samples.
---@return integer
function Histogram:count()
    check_self(self, Histogram, "h:count()")
    return #self.samples
end

---The smallest sample that at least p percent of all samples do not exceed (nearest rank); nil without samples.
---@param p number 0 to 100
---@return integer|nil
---@return string? reason
function Histogram:percentile(p)
    check_self(self, Histogram, "h:percentile(...)")
    need(p, "number", "percentile: p")
    if not (p >= 0 and p <= 100) then misuse(format("percentile: p must be 0 to 100, not %s", tostring(p))) end
    if #self.samples == 0 then return nil, "no samples" end
    if not self.sorted then
        sort(self.samples)
        self.sorted = true
    end
    return self.samples[max(ceil(p / 100 * #self.samples), 1)]
end

---The smallest sample.
---@return integer|nil
function Histogram:min() return (Histogram.percentile(self, 0)) end

---The median.
---@return integer|nil
function Histogram:p50() return (Histogram.percentile(self, 50)) end

---The 99th percentile.
---@return integer|nil
function Histogram:p99() return (Histogram.percentile(self, 99)) end

---The largest sample.
---@return integer|nil
function Histogram:max() return (Histogram.percentile(self, 100)) end

---A line for a report: name, number, min, p50, p99, max.
---@return string
function Histogram:row()
    check_self(self, Histogram, "h:row()")
    return format("%-24s n %6d   min %10d   p50 %10d   p99 %10d   max %10d", self.name, self:count(), self:min() or 0,
        self:p50() or 0, self:p99() or 0, self:max() or 0)
end

-- ---- the machine ----

---A machine: made by orrery.machine.
---@class Machine
---@field sym Symbols the kernel's variables and enumerators
---@field counters Counters counters of the machine, and your own
---@field kernel table what the kernel's adapter offers; only with one
local Machine = new_class("machine", "a machine")
for name, method in pairs(methods) do Machine[name] = method end

---A program that the driver started: made by m:command.
---@class Command
---@field status integer|nil its exit status, when it has ended
---@field cycles integer|nil from its start to the answer that it ended
---@field pid integer
---@field line string
local Command = new_class("command", "a command")
Command.status, Command.cycles = false, false -- not yet
Command.__index = function(_, key)
    local value = Command[key]
    return value or nil
end

-- The adapter of a kernel by its name: scenarios/kernels/NAME.lua.
local function load_adapter(name)
    local ok, adapter = pcall(require, "kernels." .. name)
    if not ok then
        if not tostring(adapter):find("no module 'kernels." .. name .. "'", 1, true) then error(adapter, 0) end
        misuse(format("machine: there is no adapter kernels/%s.lua; a kernel's file has a '/' or a '.' in its name", name))
    end
    need(adapter, "table", "machine: what kernels/" .. name .. ".lua returns")
    return adapter
end

-- What m.counters does: your own histograms, else the machine's counters.
local function new_counters(handle)
    return setmetatable({}, {
        __index = function(_, name)
            if type(name) ~= "string" then misuse("counters: a counter's name must be a text, not " .. tostring(name)) end
            local known = name:gsub("_", "-")
            if not native.is_counter(known) then
                misuse(format("counters: '%s' is no counter (orrery info lists them), and m:counter made none", name))
            end
            return methods.count(handle, known)
        end,
        __newindex = function() misuse("counters: m:counter(name) makes a counter") end,
    })
end

-- What the kernel's adapter adds: m.kernel, its own counters, the probe on its panic.
local function attach(m, adapter)
    local view = need(adapter.view(m), "table", "machine: what the adapter's view returns")
    rawset(m, "kernel", setmetatable({}, { __index = function(_, key)
        local value = view[key]
        if value == nil then misuse(format("m.kernel has no field '%s'", tostring(key))) end
        return value
    end }))
    if adapter.panic and m:symbol(adapter.panic) then
        m:on_entry(adapter.panic, function(cpu) m:guest_crashed(cpu) end)
    end
    if adapter.observe then adapter.observe(m) end
end

---Makes a machine and loads a kernel into it. kernel is a file, or the name of an adapter in scenarios/kernels/.
---@param options MachineOptions
---@return Machine
function orrery.machine(options)
    need(options, "table", "machine: its options")
    local settings, adapter = {}, nil
    for key, value in pairs(options) do settings[key] = value end
    local name = settings.kernel
    if type(name) == "string" and not name:find("[/.]") then
        adapter = load_adapter(name)
        settings.kernel = adapter.kernel
        settings.initrd = settings.initrd or adapter.initrd
        settings.append = settings.append or adapter.append
    end
    local handle, sym = create(settings)
    local m = setmetatable({ handle = handle, sym = sym, counters = new_counters(handle), driver_seen = 0, ended = {} },
        Machine)
    if adapter then attach(m, adapter) end
    return m
end

---A histogram of this machine by its name, made at the first use; also m.counters[name].
---@param name string
---@return Histogram
function Machine:counter(name)
    check_self(self, Machine, "m:counter(...)")
    need(name, "string", "counter: name")
    local c = rawget(self.counters, name)
    if not c then
        if native.is_counter((name:gsub("_", "-"))) then
            misuse(format("counter: '%s' is a counter of the machine itself", name))
        end
        c = orrery.histogram(name)
        rawset(self.counters, name, c)
    end
    return c
end

---Profiles the machine while a function runs it: a row for each function and vCPU, most cycles first. Fields: cpu, program, name,
---file, cycles, instructions, interrupts (that it was interrupted by), interrupts_off_cycles, and under a timing model its counters
---(store_forwards, l1d_misses, ...).
---@param body fun()
---@return table[]
function Machine:profile_of(body)
    check_self(self, Machine, "m:profile_of(...)")
    need(body, "function", "profile_of: body")
    self:start_profile()
    local ok, why = pcall(body)
    self:stop_profile()
    if not ok then error(why, 0) end
    local titles, rows = nil, {}
    for line in self:profile("tsv"):gmatch("[^\n]+") do
        local fields = {}
        for field in line:gmatch("[^\t]+") do fields[#fields + 1] = field end
        if titles then
            local row = {}
            for i, title in ipairs(titles) do row[title] = math.tointeger(fields[i]) or fields[i] end
            rows[#rows + 1] = row
        else
            titles = fields
            for i, title in ipairs(titles) do titles[i] = title == "function" and "name" or title:gsub("-", "_") end
        end
    end
    sort(rows, function(a, b)
        if a.cycles ~= b.cycles then return a.cycles > b.cycles end
        if a.cpu ~= b.cpu then return a.cpu < b.cpu end
        return a.program .. "\t" .. a.name .. "\t" .. a.file < b.program .. "\t" .. b.name .. "\t" .. b.file
    end)
    return rows
end

-- The cycle at which a wait is given up.
local function deadline(self, within)
    local now = self:cycles()
    within = within or 60 * TSC_HZ
    return within > NEVER - now and NEVER or now + within
end

---Runs for so many cycles; returns why it stopped, "cycle limit" when nothing else did.
---@param cycles integer
---@return string
function Machine:run(cycles)
    check_self(self, Machine, "m:run(...)")
    return (self:run_until(deadline(self, need(cycles, "natural", "run: cycles"))))
end

-- Waits for text; errs, as an expectation does, when it does not come.
local function wait_text(self, port, text, limit, what)
    local ok, why = self:wait_text(port, text, limit)
    if not ok then fail(format("%s: %s, at cycle %s", what, why, grouped(self:cycles()))) end
end

---Boots until the console has printed a text; the default is what the adapter's kernel prints when it is ready. A boot that does
---not come so far fails the test. Without within it is given up after 60 simulated seconds.
---@param options? { until_text?: string, within?: integer }
---@return Machine self
function Machine:boot(options)
    check_self(self, Machine, "m:boot(...)")
    local o = take("boot", options, { until_text = "string?", within = "natural?" })
    local kernel = rawget(self, "kernel")
    local text = o.until_text or (kernel and kernel.ready_text)
    if not text then misuse("boot: until_text is missing (only a kernel with an adapter has a default)") end
    wait_text(self, 0, text, deadline(self, o.within), "boot: waiting for " .. show(text))
    return self
end

-- Runs until a predicate holds, looking again and again.
local function wait_when(self, o)
    if o.text or o.port then misuse("wait_for: text or when, not both") end
    local every, limit = o.every or orrery.us(10), deadline(self, o.within)
    if every < 1 then misuse("wait_for: every must be 1 or more, not 0") end
    while not o.when() do
        local now = self:cycles()
        local stop = self:run_until(every > limit - now and limit or now + every)
        if stop ~= "cycle limit" and stop ~= "asked" then
            fail(format("wait_for: the machine stopped: %s, at cycle %s", stop, grouped(self:cycles())))
        end
        if self:cycles() >= limit and not o.when() then
            fail(format("wait_for: it did not become true in time, at cycle %s", grouped(self:cycles())))
        end
    end
end

---Waits for a text on a serial port (0, the console, unless port says another), or until a function returns true, which is
---asked every so many cycles (10 us unless every says otherwise). What does not come fails the test; given up after within
---cycles, 60 simulated seconds by default.
---@param options { text?: string, port?: integer, when?: (fun(): boolean), every?: integer, within?: integer }
---@return Machine self
function Machine:wait_for(options)
    check_self(self, Machine, "m:wait_for(...)")
    local o = take("wait_for", options,
        { text = "string?", port = "natural?", when = "function?", every = "natural?", within = "natural?" })
    if o.when then
        wait_when(self, o)
    elseif o.text then
        wait_text(self, o.port or 0, o.text, deadline(self, o.within), "wait_for " .. show(o.text))
    else
        misuse("wait_for: text or when is missing")
    end
    return self
end

-- The address of a symbol that has to be there.
local function address_of(self, what, symbol)
    local address, why = self:symbol(need(symbol, "string", what .. ": symbol"))
    if not address then misuse(what .. ": " .. why) end
    return address
end

---Calls a function before every execution of a symbol's first instruction.
---@param symbol string
---@param fn fun(cpu: integer, cycle: integer)
---@return integer id for m:unprobe
function Machine:on_entry(symbol, fn)
    check_self(self, Machine, "m:on_entry(...)")
    local address = address_of(self, "on_entry", symbol)
    return (self:probe(address, need(fn, "function", "on_entry: fn")))
end

---The addresses of the instructions of a symbol, ascending, as they lie in memory now.
---@param symbol string
---@return integer[]
function Machine:code_of(symbol)
    check_self(self, Machine, "m:code_of(...)")
    local at = address_of(self, "code_of", symbol)
    local _, size = self:symbol(symbol)
    local found, last = {}, at + size
    while at < last do
        local _, length = self:disassemble(at)
        if length == 0 then misuse(format("code_of: %s: at 0x%x is no instruction", symbol, at)) end
        found[#found + 1], at = at, at + length
    end
    return found
end

-- The address that a call which was just made returns to.
local function return_address(self, cpu)
    local bytes = self:read(self:register(cpu, "rsp"), 8, cpu)
    if not bytes then misuse(format("cpu %d entered a function without a stack", cpu)) end
    return (unpack_bytes("<i8", bytes))
end

---Calls a function when a call of a symbol returns; it may set rax. m:unprobe of the id ends it for calls to come.
---@param symbol string
---@param fn fun(cpu: integer, cycle: integer, rax: integer)
---@return integer id for m:unprobe
function Machine:on_return(symbol, fn)
    check_self(self, Machine, "m:on_return(...)")
    local address = address_of(self, "on_return", symbol)
    need(fn, "function", "on_return: fn")
    local active, placed = {}, {} -- stack pointers after the return tell the calls; return addresses: their probe and calls
    local function returned(back, cpu, cycle)
        local rsp, place = self:register(cpu, "rsp"), placed[back]
        if not active[rsp] then return end
        active[rsp] = nil
        place.calls = place.calls - 1
        if place.calls == 0 then
            self:unprobe(place.id)
            placed[back] = nil
        end
        fn(cpu, cycle, self:register(cpu, "rax"))
    end
    return (self:probe(address, function(cpu)
        local back, rsp = return_address(self, cpu), self:register(cpu, "rsp") + 8
        if active[rsp] then return end -- a call that never came back
        active[rsp] = true
        local place = placed[back] or { calls = 0 }
        place.calls = place.calls + 1
        place.id = place.id or self:probe(back, function(at, cycle) returned(back, at, cycle) end)
        placed[back] = place
    end))
end

---Makes the next call of a symbol return a value without running it; with always every one, with when only those for which the
---function returns true.
---@param symbol string
---@param value integer
---@param options? { always?: boolean, when?: (fun(cpu: integer): boolean) }
---@return integer id for m:unprobe
function Machine:fail_call(symbol, value, options)
    check_self(self, Machine, "m:fail_call(...)")
    local address = address_of(self, "fail_call", symbol)
    need(value, "integer", "fail_call: value")
    local o, id = take("fail_call", options, { always = "boolean?", when = "function?" }), nil
    id = self:probe(address, function(cpu)
        if o.when and not o.when(cpu) then return end
        local back, rsp = return_address(self, cpu), self:register(cpu, "rsp")
        self:set_register(cpu, "rax", value)
        self:set_register(cpu, "rsp", rsp + 8)
        self:set_register(cpu, "rip", back)
        if not o.always then self:unprobe(id) end
    end)
    return id
end

-- ---- the driver process on the second serial port ----

-- Reads the driver's next line; fails the test when it does not come in time.
local function driver_line(self, limit, what)
    wait_text(self, DRIVER_PORT, "\n", limit, what .. ": no answer from the driver")
    local text = self:console(DRIVER_PORT, self.driver_seen)
    local last = text:find("\n", 1, true)
    self.driver_seen = self.driver_seen + last
    return (text:sub(1, last - 1):gsub("\r$", ""))
end

-- Keeps what a line says of the end of a program for the command that waits for it; false: it says nothing of that.
local function take_exit(m, line)
    local pid, status = line:match("^exit (%d+) (%-?%d+)$")
    if not pid then return false end
    m.ended[to_integer(tonumber(pid))] = { status = to_integer(tonumber(status)), cycle = m:cycles() }
    return true
end

-- The next line that is an answer, not the end of a program.
local function answer_line(self, limit, what)
    local line
    repeat line = driver_line(self, limit, what) until not take_exit(self, line)
    return line
end

local function ask(self, what, line, o)
    if line:find("%c") then misuse(what .. ": line must be one line") end
    local limit = deadline(self, o.within or 10 * TSC_HZ)
    self:send(DRIVER_PORT, line .. "\n")
    local lines = { answer_line(self, limit, line) }
    while o.until_line and lines[#lines] ~= o.until_line do lines[#lines + 1] = answer_line(self, limit, line) end
    return concat(lines, "\n")
end

---Sends the driver a line (docs/init-protocol.md) and returns its answer: one line, or with until_line all up to the line that
---is this text. Given up after within cycles, 10 simulated seconds by default: the test fails.
---@param line string
---@param options? { until_line?: string, within?: integer }
---@return string
function Machine:ask(line, options)
    check_self(self, Machine, "m:ask(...)")
    return (ask(self, "ask", need(line, "string", "ask: line"),
        take("ask", options, { until_line = "string?", within = "natural?" })))
end

---Starts a program through the driver: m:command("forkstorm --processes 1000"):wait(). One that cannot be started fails the
---test.
---@param line string
---@return Command
function Machine:command(line)
    check_self(self, Machine, "m:command(...)")
    local answer = ask(self, "command", "run " .. need(line, "string", "command: line"), {})
    local pid = to_integer(tonumber(answer:match("^started (%d+)$")))
    if not pid then fail(format("command: %s: %s", show(line), answer)) end
    self.ended[pid] = nil
    return setmetatable({ machine = self, line = line, pid = pid, from = self:cycles() }, Command)
end

---Waits until the program has ended; then command.status and command.cycles are known. One that does not end within the
---cycles, 60 simulated seconds by default, fails the test.
---@param options? { within?: integer }
---@return Command self
function Command:wait(options)
    check_self(self, Command, "command:wait(...)")
    local o = take("wait", options, { within = "natural?" })
    local m = self.machine
    local limit = deadline(m, o.within)
    while not self.status do
        local ended = m.ended[self.pid]
        if ended then
            self.status, self.cycles = ended.status, ended.cycle - self.from
        else
            take_exit(m, driver_line(m, limit, self.line))
        end
    end
    return self
end

-- ---- expectations ----

---What expect gives: a value, and what it is expected to be. What is not so fails the test.
---@class Expectation
local Expectation = new_class("expectation", "an expectation")

local function at_cycle()
    local cycles = native.now()
    return cycles and format("      at cycle %s (%s)", grouped(cycles), orrery.duration(cycles)) or ""
end

---Begins an expectation. Without a label a failure is told with the expression in the brackets.
---@param value any
---@param label? string
---@return Expectation
function expect(value, label)
    return setmetatable({ value = value, label = need(label, "string?", "expect: label") }, Expectation)
end

local function check(self, ok, text)
    if ok then return end
    local value = show(rawget(self, "value"))
    local label = rawget(self, "label") or native.expression()
    fail(format("%s%s, got %s%s", label and label ~= value and label .. ": " or "", text, value, at_cycle()))
end

-- Compares what has an order; what has none with the limit fails the test.
local function compare(self, name, limit, text, holds)
    check_self(self, Expectation, "expect(...):" .. name .. "(...)")
    local kind, value = type(limit), rawget(self, "value")
    if kind ~= "number" and kind ~= "string" then
        misuse(format("%s: its limit must be a number or a text, not %s", name, show(limit)))
    end
    check(self, type(value) == kind and holds(value, limit), format("expected %s %s", text, show(limit)))
end

---Equal, as == has it: two tables are equal only if they are one.
---@param other any
function Expectation:to_be(other)
    check_self(self, Expectation, "expect(...):to_be(...)")
    local value = rawget(self, "value")
    local what = type(other) == "table" and type(value) == "table" and "the same table (equal only if they are one)"
    check(self, value == other, "expected " .. (what or show(other)))
end

---Not equal.
---@param other any
function Expectation:not_to_be(other)
    check_self(self, Expectation, "expect(...):not_to_be(...)")
    check(self, rawget(self, "value") ~= other, "expected anything but " .. show(other))
end

---Less than a limit of the same type.
---@param limit number|string
function Expectation:to_be_below(limit)
    compare(self, "to_be_below", limit, "less than", function(a, b) return a < b end)
end

---More than a limit of the same type.
---@param limit number|string
function Expectation:to_be_above(limit)
    compare(self, "to_be_above", limit, "more than", function(a, b) return a > b end)
end

---The limit or more.
---@param limit number|string
function Expectation:to_be_at_least(limit)
    compare(self, "to_be_at_least", limit, "at least", function(a, b) return a >= b end)
end

---The limit or less.
---@param limit number|string
function Expectation:to_be_at_most(limit)
    compare(self, "to_be_at_most", limit, "at most", function(a, b) return a <= b end)
end

-- The value as a text in which something is looked for.
local function find(self, what, plain)
    local value = rawget(self, "value")
    if type(value) ~= "string" then return false end
    local ok, found = pcall(find_text, value, what, 1, plain)
    if not ok then misuse("to_match: " .. tostring(found):gsub("^[^ ]+:%d+: ", "")) end
    return found ~= nil
end

---A text that has another in it.
---@param text string
function Expectation:to_contain(text)
    check_self(self, Expectation, "expect(...):to_contain(...)")
    need(text, "string", "to_contain: text")
    check(self, find(self, text, true), "expected a text with " .. show(text))
end

---A text that matches a Lua pattern somewhere.
---@param pattern string
function Expectation:to_match(pattern)
    check_self(self, Expectation, "expect(...):to_match(...)")
    need(pattern, "string", "to_match: pattern")
    check(self, find(self, pattern, false), "expected a match of " .. show(pattern))
end

---A function that errs when it is called, with a message that has the text in it.
---@param text? string
function Expectation:to_err(text)
    check_self(self, Expectation, "expect(...):to_err(...)")
    need(text, "string?", "to_err: text")
    local ok, failure = xpcall(need(rawget(self, "value"), "function", "to_err: the value"), native.failure)
    self.value = ok and "no error" or tostring(failure)
    check(self, not ok and (not text or self.value:find(text, 1, true)), "expected an error" ..
        (text and " with " .. show(text) or ""))
end

-- ---- grouping and reporting ----

local depth, in_test, notes = 0, false, {}

---A group of tests.
---@param name string
---@param body fun()
function describe(name, body)
    need(name, "string", "describe: name")
    need(body, "function", "describe: body")
    if in_test then misuse("describe: a group inside a test") end
    print(rep("  ", depth) .. name)
    depth = depth + 1
    local ok, failure = xpcall(body, native.failure)
    depth = depth - 1
    if not ok then error(failure, 0) end
end

---A line of the report under the test that is running.
---@param text string
function orrery.note(text) notes[#notes + 1] = need(text, "string", "note: text") end

-- The line of a test that passed: a first note that fits stands on it.
local function print_passed(indent, name)
    local first = notes[1] and #notes[1] <= 40 and #name <= 38
    if first then
        print(format("%s  ok    %-40s %s", indent, name, notes[1]))
    else
        print(format("%s  ok    %s", indent, name))
    end
    for i = first and 2 or 1, #notes do print(indent .. "        " .. notes[i]) end
end

---A test: it fails when an expectation in it fails or when it errs.
---@param name string
---@param body fun()
function it(name, body)
    need(name, "string", "it: name")
    need(body, "function", "it: body")
    if in_test then misuse("it: a test inside a test") end
    local indent = rep("  ", depth)
    in_test, notes = true, {}
    native.started()
    local ok, failure = xpcall(body, native.failure)
    in_test = false
    if ok then
        native.passed()
        print_passed(indent, name)
        return
    end
    native.failed(#indent, name, failure)
    for _, note in ipairs(notes) do print(indent .. "        " .. note) end
end
