"""A machine file made of another one: its text as it is, and numbers that take the place of its own."""
import re

PROLOGUE = "local machine = (function()\n"
EPILOGUE = """
end)()

local function set(place, key, value)
    if type(place[key]) == "table" then place[key][1] = value else place[key] = value end
end
local function set_latency(class, value)
    for _, row in ipairs(machine.classes) do
        if (" " .. row[1] .. " "):find(" " .. class .. " ", 1, true) then set(row, "latency", value) end
    end
end
"""


def text(base, name, numbers):
    """base: text of a machine file; numbers: {key: value}, keys as `orrery info --params` has them. Classes of one row of
    the file share their numbers: all of them have to be given, and alike."""
    lines = [f'machine.name = "{name}"']
    for key, value in numbers.items():
        latency = re.fullmatch(r"class\.(\w+)\.latency", key)
        lines.append(f'set_latency("{latency.group(1)}", {value})' if latency else
                     f'set(machine.parameters, "{key}", {value})')
    return PROLOGUE + base + EPILOGUE + "\n".join(lines) + "\nreturn machine\n"
