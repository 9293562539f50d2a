-- Purpose: the words of messages that go the short way, followed from one program's registers to another's. The scenario puts words
-- that nobody else has into the registers of calls and answers and looks at every store of every instruction until the partner is
-- in user mode, and then at all of memory.
-- Expects: they arrive, those beyond the ones that count as 0, and neither a word nor a half of one was ever stored.
-- covers: IP-03
local WORDS <const> = { "rdx", "r10", "r8", "r9", "r12", "r13", "r14", "r15" }
local PHYSMAP <const>, MIB <const> = 0xffff800000000000, 1 << 20
local MEMORY <const> = 64
-- what names memory and stores nothing there
local READERS <const> = { cmp = true, test = true, nop = true, lea = true, xrstor64 = true, fxrstor64 = true }
local STATE_BYTES <const> = 576 -- the most that an instruction stores: XSAVE

local m = orrery.machine { kernel = "orrery", cpus = 1, memory = MEMORY .. "M", engine = "fast", memory_model = "sc" }:boot()
local CALL <const>, REPLY_RECEIVE <const> = m.sym.SYS_IPC_CALL, m.sym.SYS_IPC_REPLY_RECEIVE

-- Halves of words as they would lie in memory.
local function halves_of(words)
    local halves = {}
    for _, word in ipairs(words) do
        halves[#halves + 1] = string.pack("<I4", word & 0xffffffff)
        halves[#halves + 1] = string.pack("<I4", word >> 32)
    end
    return halves
end

local function finds(bytes, halves)
    for _, half in ipairs(halves) do
        if bytes:find(half, 1, true) then return true end
    end
    return false
end

-- The linear address of an operand "gs:[rax+rcx*8-0x10]".
local function address_of(operand)
    local address = operand:find("gs:", 1, true) and m:register(0, "gs_base") or 0
    for sign, term in ("+" .. operand:match("%[(.-)%]")):gmatch("([+-])([^+-]+)") do
        local register, scale = term:match("^(r%w+)%*?(%d*)$")
        local value = register and m:register(0, register) * (tonumber(scale) or 1) or math.tointeger(tonumber(term))
        address = sign == "+" and address + value or address - value
    end
    return address
end

-- Where the instruction that comes next will store, nil: nowhere.
local function store_address(text)
    local name = text:gsub("^lock ", ""):match("^%S+")
    if name == "push" or name == "call" or name == "pushfq" then return m:register(0, "rsp") - 8 end
    expect(text:find("^rep ") ~= nil, "a string instruction on the way"):to_be(false)
    local operand = text:match("^[^,]*%b[]")
    return operand and not READERS[name] and address_of(operand) or nil
end

-- Steps until a program runs again; returns the number of instructions, what stored a word, and whether the way was the short one.
local function follow(halves)
    local steps, stored = 0, nil
    local short = true
    local long = m:symbol("syscall_dispatch")
    repeat
        local rip = m:register(0, "rip")
        short = short and rip ~= long
        local text = m:disassemble(rip)
        local address = store_address(text)
        m:run(1)
        steps = steps + 1
        if address and finds(m:read(address, STATE_BYTES) or m:read(address, 8), halves) then
            stored = stored or m:describe(rip) .. ": " .. text
        end
    until m:register(0, "cpl") == 3 or not short
    return steps, stored, short
end

local function lies_in_memory(halves)
    local words = {}
    for i = 1, #halves, 2 do words[#words + 1] = halves[i] .. halves[i + 1] end
    for megabyte = 0, MEMORY - 1 do
        local bytes = m:read(PHYSMAP + megabyte * MIB, MIB)
        if bytes and finds(bytes, words) then return true end
    end
    return false
end

-- The registers of the message that goes with the next instruction, a SYSCALL of a number.
local function exchange(count, random)
    local old, words = {}, {}
    local tag = m:register(0, "rsi")
    for i, name in ipairs(WORDS) do
        old[i] = i <= tag & 15 and m:register(0, name) or 0
        words[i] = random()
        m:set_register(0, name, words[i])
    end
    m:set_register(0, "rsi", tag & ~15 | count)
    return { tag = tag, words = words, old = old, count = count }
end

-- The partner gets what it would have got.
local function put_back(message)
    for i, name in ipairs(WORDS) do m:set_register(0, name, message.old[i]) end
    m:set_register(0, "rsi", message.tag)
end

local function arrived(message)
    for i, name in ipairs(WORDS) do
        local wanted = i <= message.count and message.words[i] or 0
        if m:register(0, name) ~= wanted then return name end
    end
    return "all"
end

it("words of messages stay in registers from program to program", function()
    local state <const> = { 0x9e3779b97f4a7c15 }
    local function random()
        state[1] = state[1] * 6364136223846793005 + 1442695040888963407
        return (state[1] ~ state[1] >> 29) * 0xbf58476d1ce4e5b | 1 << 63 | 1 << 31
    end
    local wanted
    m:on_entry("syscall_entry", function()
        local process = m.kernel.current_process(0)
        if m:register(0, "rax") == wanted and process.name:string() == "ipctest" then m:stop() end
    end)
    local passed = 0
    m:on_entry("message_resume", function() passed = passed + 1 end)
    local command = m:command("ipctest messages_go_from_registers_to_registers")
    m:wait_for { when = function() return passed >= 20 end }
    local longest = 0
    for round = 0, 35 do
        wanted = round % 2 == 0 and CALL or REPLY_RECEIVE
        m:run(orrery.ms(1))
        expect(m:describe(m:register(0, "rip")):match("^[%w_]+"), "where a message begins"):to_be("syscall_entry")
        local message = exchange(round // 2 % 9, random)
        local halves = halves_of(message.words)
        local steps, stored, short = follow(halves)
        expect(short, "the short way"):to_be(true)
        expect(stored or "nothing", "what stored a word"):to_be("nothing")
        expect(arrived(message), "the words that arrived"):to_be("all")
        expect(lies_in_memory(halves), "a word in memory"):to_be(false)
        put_back(message)
        longest = math.max(longest, steps)
    end
    wanted = nil
    expect(command:wait().status, "status of ipctest"):to_be(0)
    orrery.note(string.format("36 messages of 0 to 8 words, each of up to %d instructions", longest))
end)
