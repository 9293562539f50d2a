-- Mathematics whose last bits differ between implementations: prints one line, the same on every host. Used by scenarios.sh.
local hash = 0
local function mix(x) hash = (hash * 31 + (string.unpack("<i8", string.pack("<d", x)))) & 0xffffffffffff end
for i = 1, 20000 do
    local x = i * 0.00717 + i * i * 0.001
    mix(math.sin(x)) mix(math.cos(x)) mix(math.tan(x)) mix(math.exp(x % 600)) mix(math.log(x)) mix(x ^ 1.37)
end
print(("%x"):format(hash))
