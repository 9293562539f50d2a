---@meta
-- Made by scripts/make-docs from sim/script/binding.def: for editors (LuaLS), never run.

---@class Machine
local Machine = {}

---runs until a cycle or a stop; returns why it stopped
---@param cycle integer
---@return string
function Machine:run_until(cycle) end

---runs until a serial port has printed text since the last match; nil and the reason otherwise
---@param port integer
---@param text string
---@param until_cycle integer
---@return boolean|nil
---@return string?
function Machine:wait_text(port, text, until_cycle) end

---sends bytes to a serial port (an effect)
---@param port integer
---@param text string
function Machine:send(port, text) end

---everything a serial port has printed
---@param port integer
---@return string
function Machine:console(port) end

---the clock
---@return integer
function Machine:cycles() end

---instructions retired, all vCPUs together
---@return integer
function Machine:instructions() end

---digest of the whole machine state, 32 hexadecimal digits
---@return string
function Machine:state_hash() end

---digest of the architectural state alone
---@return string
function Machine:arch_hash() end

---a counter of the machine (orrery info lists them), of one vCPU or of all together
---@param counter string
---@param cpu? integer
---@return integer
function Machine:count(counter, cpu) end

---number of vCPUs
---@return integer
function Machine:cpus() end

---reads a register: rax .. r15, rip, rflags, cr0, cr2, cr3, cr4, efer, fs_base, gs_base, cpl, clock, retired
---@param cpu integer
---@param name string
---@return integer
function Machine:register(cpu, name) end

---writes a general register, rip or rflags (an effect)
---@param cpu integer
---@param name string
---@param value integer
function Machine:set_register(cpu, name, value) end

---bytes at a linear address, without side effects
---@param address integer
---@param size integer
---@param cpu? integer
---@return string|nil
---@return string?
function Machine:read(address, size, cpu) end

---writes RAM (an effect)
---@param address integer
---@param bytes string
function Machine:write_physical(address, bytes) end

---address and size of a kernel symbol
---@param name string
---@return integer|nil
---@return integer|string
function Machine:symbol(name) end

---symbol, file and line of a code address
---@param address integer
---@return string
function Machine:describe(address) end

---calls fn before the instruction at a linear address executes; returns an id
---@param address integer
---@param fn fun(cpu: integer
---@param cycle integer)
---@return integer
function Machine:probe(address, fn, cycle) end

---removes a probe
---@param id integer
function Machine:unprobe(id) end

---from a probe: makes the run return
function Machine:stop() end

---the vCPU's clock jumps by cycles before its step-th instruction (an effect)
---@param cpu integer
---@param step integer
---@param cycles integer
function Machine:stall(cpu, step, cycles) end

---an interrupt edge; vector 256 is an NMI (an effect)
---@param cpu integer
---@param vector integer
function Machine:interrupt(cpu, vector) end

---an interrupt before every instruction of a range; first > last ends it (an effect)
---@param cpu integer
---@param first integer
---@param last integer
---@param vector integer
function Machine:interrupt_range(cpu, first, last, vector) end

---the n-th message between APICs from now is late; 0 is the next (an effect)
---@param n integer
---@param cycles integer
function Machine:delay_ipi(n, cycles) end

---the n-th message between APICs from now is lost; 0 is the next (an effect)
---@param n integer
function Machine:lose_ipi(n) end

---number of effects in the log
---@return integer
function Machine:effects() end

---from a probe on the kernel's panic: the run ends with status 3 and a back-trace of this vCPU
---@param cpu integer
function Machine:guest_crashed(cpu) end
