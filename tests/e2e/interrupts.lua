-- Interrupts before every instruction of a function, and what became of them, for the scenarios beside it: which of its
-- instructions ran, which of those with interrupts on, and at which of these an interrupt was handled.
local interrupts = {}

local IF <const> = 1 << 9

local function number(m, cpu, at, field)
    return (string.unpack("<i8", assert(m:read(at + m.sym("frame", 0):offsetof(field), 8, cpu)))) -- as this CPU sees it
end

-- Watches a machine. runs counts the instructions of the function that ran with interrupts on, traps the interrupts that were
-- handled when one of it was next; closed, open and taken are the same by address. calls counts how often it began with
-- interrupts off, waited the interrupts of its vectors that were the first on a CPU after an instruction that ran so.
function interrupts.watch(m)
    local watch = { first = 1, last = 0, runs = 0, traps = 0, due = {}, probes = {} }
    m:on_entry("trap_dispatch", function(cpu)
        local frame = m:register(cpu, "rdi")
        local rip = number(m, cpu, frame, "rip")
        local vector = number(m, cpu, frame, "vector")
        if vector < 32 then return end
        if watch.due[cpu] and watch.vectors[vector] then watch.due[cpu], watch.waited = false, watch.waited + 1 end
        if rip < watch.first or rip > watch.last then return end
        watch.traps, watch.taken[rip] = watch.traps + 1, true
    end)
    return watch
end

-- The instruction after an STI is not interrupted.
local function look(m, watch, at, shadow, raise)
    return function(cpu)
        local before = watch.before[cpu]
        watch.before[cpu] = at
        if m:register(cpu, "rflags") & IF == 0 then
            watch.closed[at], watch.due[cpu] = true, true
            watch.calls = watch.calls + (at == watch.first and 1 or 0)
        elseif raise and raise(cpu, at) then
            watch.before[cpu] = before -- it has not run yet
        elseif not shadow or before ~= shadow then
            watch.runs, watch.open[at] = watch.runs + 1, true
        end
    end
end

-- of: the name of a function of the kernel, or { name =, code = } with the addresses of a program's instructions, ascending.
local function begin(m, watch, of, vectors, raise)
    interrupts.stop(m, watch)
    watch.vectors = {}
    for _, vector in ipairs(vectors) do watch.vectors[vector] = true end
    if type(of) == "string" then
        local first, size = assert(m:symbol(of))
        watch.name, watch.first, watch.last, watch.code = of, first, first + size - 1, m:code_of(of)
    else
        watch.name, watch.first, watch.last, watch.code = of.name, of.code[1], of.code[#of.code], of.code
    end
    assert(#watch.code > 1 and watch.first < watch.last, watch.name)
    watch.runs, watch.traps, watch.calls, watch.waited, watch.once = 0, 0, 0, 0, false
    watch.due, watch.before, watch.closed, watch.open, watch.taken = {}, {}, {}, {}, {}
    local shadow
    for i, at in ipairs(watch.code) do
        watch.probes[i] = m:probe(at, look(m, watch, at, shadow, raise))
        shadow = m:disassemble(at):find("^sti") and at
    end
end

-- From now on counts; somebody else brings the interrupts.
function interrupts.count(m, watch, name)
    begin(m, watch, name, {})
end

-- From now on, and until the next call, an interrupt comes before every instruction of the function, on every CPU; its vector
-- is one of these, or the harmless one.
function interrupts.inside(m, watch, name, vectors)
    vectors = vectors or { m.kernel.harmless_vector }
    begin(m, watch, name, vectors)
    for cpu = 0, m:cpus() - 1 do m:interrupt_range(cpu, watch.first, watch.last, vectors[math.random(#vectors)]) end
end

-- Raises the interrupt itself, from a probe of each instruction that `wanted` names.
local function raise(m, watch, name, vectors, wanted)
    local raised = {}
    begin(m, watch, name, vectors, function(cpu, at)
        if raised[cpu] == at then -- back from the interrupt
            raised[cpu] = nil
            return false
        elseif not wanted(at) then
            return false
        end
        raised[cpu] = at
        m:interrupt(cpu, vectors[math.random(#vectors)])
        return true
    end)
end

-- As interrupts.inside, but for those instructions that the interrupt itself executes: a handler that calls the function with
-- interrupts off would raise the next one for ever.
function interrupts.outside(m, watch, name, vectors)
    raise(m, watch, name, vectors, function() return true end)
end

-- Once before each instruction: of what begins again whenever the interrupt has come between, and would do so for ever.
function interrupts.once(m, watch, name, vectors)
    raise(m, watch, name, vectors, function(at) return not watch.taken[at] end)
    watch.once = true
end

-- What was counted stays.
function interrupts.stop(m, watch)
    for cpu = 0, m:cpus() - 1 do m:interrupt_range(cpu, 1, 0, m.kernel.harmless_vector) end
    for _, id in ipairs(watch.probes) do m:unprobe(id) end
    watch.probes = {}
end

-- Of the function's instructions: how many ran, how many with interrupts on, and those of them that were never interrupted.
local function share(watch)
    local ran, open, missed = 0, 0, {}
    for _, at in ipairs(watch.code) do
        ran = ran + ((watch.open[at] or watch.closed[at]) and 1 or 0)
        open = open + (watch.open[at] and 1 or 0)
        if watch.open[at] and not watch.taken[at] then missed[#missed + 1] = "+" .. at - watch.first end
    end
    orrery.note(string.format(
        "%s: %d of %d instructions ran, %d with interrupts on, %d of these interrupted; %d interrupts, %d runs", watch.name, ran,
        #watch.code, open, open - #missed, watch.traps, watch.runs))
    return ran, open, missed
end

-- Expects that at least so many instructions ran with interrupts on, so often together, and that an interrupt came before each
-- of them, as often as they ran but for interrupts.once.
function interrupts.judge(watch, instructions, runs)
    local _, open, missed = share(watch)
    expect(open, "instructions of " .. watch.name .. " that ran with interrupts on"):to_be_at_least(instructions)
    expect(table.concat(missed, " "), "those that were not interrupted"):to_be("")
    expect(watch.runs, "runs of them"):to_be_at_least(runs)
    expect(watch.traps, "interrupts before them"):to_be_at_least(watch.once and open or watch.runs)
end

-- Expects that at least so many instructions ran, all with interrupts off, and that those that came waited for the end, each
-- time that the function was called.
function interrupts.judge_closed(watch, instructions)
    local ran, open = share(watch)
    orrery.note(string.format("%s: %d calls, %d interrupts waited for their ends", watch.name, watch.calls, watch.waited))
    expect(ran, "instructions of " .. watch.name .. " that ran"):to_be_at_least(instructions)
    expect(open, "those that ran with interrupts on"):to_be(0)
    expect(watch.traps, "interrupts before them"):to_be(0)
    expect(watch.calls, "calls"):to_be_at_least(1)
    expect(watch.waited, "interrupts that waited"):to_be_at_least(watch.calls)
end

return interrupts
