-- Everything that stock Lua leaves to chance: run in many processes, it prints the same line. Used by tests/e2e/scenarios.sh.

local state = 12345
local function below(n)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % n
end

local function mix(hash, value) return (hash * 31 + value) & 0xffffffffffff end

-- Lengths of tables with holes: they tell when a table grew, and that tells where its other keys hash to.
local function holes(keys)
    local hash = 0
    for _ = 1, 5000 do
        local t = {}
        for _ = 1, 30 do
            if below(3) == 0 then
                t[keys[below(#keys) + 1]] = below(2) == 0 or nil
            else
                t[below(12) + 1] = below(3) > 0 or nil
            end
        end
        hash = mix(hash, #t)
    end
    return hash
end

local texts, objects, closures, functions = {}, {}, {}, { print, pairs, next, ipairs, select, tostring, string.find,
    string.format, table.concat, math.floor, coroutine.yield, utf8.char, ipairs({}), (utf8.codes("")) }
for i = 1, 12 do texts[i] = "key" .. i end
for i = 1, 12 do texts[12 + i] = ("long"):rep(20) .. i end
for i = 1, 12 do objects[i] = {} end
for i = 1, 12 do closures[i] = function() return i end end

-- A table that became weak behind setmetatable's back: the moments at which its entries vanish.
local function collected(mode)
    local meta, hash, keys = {}, 0, {}
    local weak = setmetatable({}, meta)
    meta.__mode = mode
    for i = 1, 20000 do
        local key = mode == "v" and i % 50 or { i }
        keys[i % 50] = key
        weak[key] = { i, tostring(i), key }
        local alive, key_at = 0, nil
        for k = 0, 49 do alive = alive + (keys[k] and weak[keys[k]] and 1 or 0) end
        keys[below(50)] = 0
        if i % 1000 == 0 then
            for _ = 1, 100 do key_at = { key_at } end
        end
        hash = mix(hash, alive)
    end
    return hash
end

-- How much fits the memory limit.
local function fits()
    local t = {}
    local ok = pcall(function()
        for i = 1, 1e9 do t[i] = { ("x"):rep(1 + below(100000)), [i] = i, ["k" .. i] = i } end
    end)
    return ok and 0 or #t
end

local filled = fits()
print(holes(texts), holes(objects), holes(closures), holes(functions), collected("v"), collected("k"), collected("kv"), filled)
