---@meta
-- Made by scripts/make-docs from scenarios/lib/prelude.lua and sim/script/*.def: for editors (LuaLS), never run.

---@class MachineOptions
---@field kernel string a file, or the name of an adapter in scenarios/kernels/
---@field initrd? string a file; the adapter's by default
---@field append? string the kernel's command line; the adapter's by default
---@field cpus? integer vCPUs, 1 to 64
---@field memory? integer|string RAM, 16M to 64G in whole MiB; suffixes K, M, G
---@field memory_limit? integer|string of usable RAM the firmware reports no more
---@field numa? integer NUMA nodes, 1 to 8
---@field board? "pc"|"microvm" the devices around the vCPUs
---@field engine? "fast"|"timed" fast: a cycle an instruction
---@field machine? string timed: whose cycles; orrery info lists them
---@field memory_model? "sc"|"tso" default: sc on fast, tso on timed
---@field order? "strict"|"lookahead" lookahead: faster on timed; same results
---@field store_capacity? integer entries of tso's store buffer, 1 to 64
---@field cpu? string orrery or tcg72, and features: orrery,-pcid
---@field disk? string|string[] a virtio disk, up to 3; FILE is never written
---@field entropy? "off"|"on" a virtio entropy source, fed by the seed
---@field seed? integer seed of everything random; default: 1
---@field rtc? integer clock at start, since 1970; default: 2026-01-01
---@field serial_timing? "instant"|"real" real: a character takes its time
---@field backend? "interpreter"|"translator" default: translator; same results
---@field blocks? "whole"|"single" single: one instruction each; same results

---Counters of a machine, all vCPUs together, and the histograms of m:counter.
---@class Counters
---@field [string] Histogram
---@field cycles integer the clock
---@field instructions integer instructions retired
---@field interrupts_off_cycles integer cycles with RFLAGS.IF clear
---@field false_sharing integer accesses of a line that others took for other bytes; with --false-sharing only
---@field events integer device and timer events fired
---@field apic_messages integer deliveries between APICs
---@field disk_requests integer requests that disks have completed, failed ones too
---@field disk_sectors_read integer sectors that disks have given
---@field disk_sectors_written integer sectors that disks have taken, zeroed ones too
---@field memory_touched_bytes integer guest RAM in pages that were ever written
---@field branches integer near branches executed; of machines with a timing model
---@field mispredicts integer branches whose direction or target was mispredicted; of machines with a timing model
---@field decode_redirects integer taken direct branches that the BTB did not have; of machines with a timing model
---@field loads integer loads, of walks too; of machines with a timing model
---@field stores integer stores, in pieces of the queue; not those of locked operations; of machines with a timing model
---@field l1i_misses integer lines fetched that L1I did not have; of machines with a timing model
---@field l1d_misses integer lines loaded that L1D did not have; of machines with a timing model
---@field l2_hits integer of these, and of stores and fetches: L2 had the line; of machines with a timing model
---@field l3_hits integer L3 had the line; of machines with a timing model
---@field memory_reads integer lines that came from memory; of machines with a timing model
---@field memory_writes integer lines written back to memory; of machines with a timing model
---@field cache_transfers integer lines read from another vCPU's cache, or that one had just taken; of machines with a timing model
---@field upgrades integer lines held without the right to write that had to be taken for a store; of machines with a timing model
---@field invalidations integer lines that another vCPU has taken away; of machines with a timing model
---@field dtlb_misses integer data accesses that the first-level TLB did not know; of machines with a timing model
---@field itlb_misses integer pages fetched from that it did not know; of machines with a timing model
---@field tlb_walks integer walks of page tables for accesses that completed; of machines with a timing model
---@field walk_cycles integer cycles of these walks; of machines with a timing model
---@field store_forwards integer loads served by a store that had not drained; of machines with a timing model
---@field store_forward_stalls integer loads that had to wait for such a store to drain; of machines with a timing model
---@field line_splits integer accesses of two lines; of machines with a timing model
---@field drains_put_off integer stores whose line had been taken away before they drained; of machines with a timing model
---@field exceptions integer faults, traps and INT n delivered
---@field interrupts integer external interrupts and NMIs taken
---@field ipis integer commands sent through the local APIC's ICR
---@field syscalls integer SYSCALL and SYSENTER executed
---@field page_walks integer TLB misses and refusals that walked the page tables
---@field tlb_invalidations integer TLB entries dropped: kind 0 to 3 INVPCID type, 4 INVLPG, 5 CR3, 6 other control registers
---@field port_reads integer IN and INS
---@field port_writes integer OUT and OUTS
---@field mmio_reads integer loads from device memory
---@field mmio_writes integer stores to device memory
---@field msr_writes integer WRMSR that succeeded
---@field halts integer HLT and MWAIT that began to wait

---The kernel's variables and enumerators by name; called with a type's name and an address, a place of that type.
---@class Symbols
---@field [string] any
---@overload fun(type: string, address: integer): Place

---A struct, array or pointer in guest memory: members by name, elements from 0; integers come as integers.
---@class Place
---@field [string] any
---@field [integer] any
local Place = {}

---where it is
---@return integer
function Place:address() end

---the address that a pointer holds; 0 is the null pointer
---@return integer
function Place:value() end

---what a pointer points at: an integer or a place; nil for the null pointer
---@return any
function Place:deref() end

---the text of a char array or of what a char pointer points at, up to its zero byte, at most 4096 bytes
---@return string
function Place:string() end

---bytes from the beginning of a struct to a member of it
---@param member string
---@return integer
function Place:offsetof(member) end

---bytes that it takes in memory, or that a member of it takes
---@param member? string
---@return integer
function Place:sizeof(member) end

---the names of a struct's members, in order
---@return string[]
function Place:members() end

---@class orrery
orrery = {}

---What the command line gave: KEY of every --set KEY=VALUE, cpus when --cpus was given, and seed.
---@type table<string, string|number>
orrery.args = {}

---Samples of whole numbers, all of them kept: what m:counter gives.
---@class Histogram
local Histogram = {}

---A machine: made by orrery.machine.
---@class Machine
---@field sym Symbols the kernel's variables and enumerators
---@field counters Counters counters of the machine, and your own
---@field kernel table what the kernel's adapter offers; only with one
local Machine = {}

---A program that the driver started: made by m:command.
---@class Command
---@field status integer|nil its exit status, when it has ended
---@field cycles integer|nil from its start to the answer that it ended
---@field pid integer
---@field line string
local Command = {}

---What expect gives: a value, and what it is expected to be. What is not so fails the test.
---@class Expectation
local Expectation = {}

---Seconds in cycles of the 3 GHz clock.
---@param n number
---@return integer cycles
function orrery.seconds(n) end

---Milliseconds in cycles.
---@param n number
---@return integer cycles
function orrery.ms(n) end

---Microseconds in cycles.
---@param n number
---@return integer cycles
function orrery.us(n) end

---Nanoseconds in cycles.
---@param n number
---@return integer cycles
function orrery.ns(n) end

---A length of time for people: "71.4 us".
---@param cycles integer
---@return string
function orrery.duration(cycles) end

---A whole number for people: "1,238,004".
---@param n integer
---@return string
function orrery.grouped(n) end

---A histogram of your own that belongs to no machine.
---@param name string what :row calls it
---@return Histogram
function orrery.histogram(name) end

---Takes a sample.
---@param value integer
function Histogram:add(value) end

---Number of samples.
---@return integer
function Histogram:count() end

---The smallest sample that at least p percent of all samples do not exceed (nearest rank); nil without samples.
---@param p number 0 to 100
---@return integer|nil
---@return string? reason
function Histogram:percentile(p) end

---The smallest sample.
---@return integer|nil
function Histogram:min() end

---The median.
---@return integer|nil
function Histogram:p50() end

---The 99th percentile.
---@return integer|nil
function Histogram:p99() end

---The largest sample.
---@return integer|nil
function Histogram:max() end

---A line for a report: name, number, min, p50, p99, max.
---@return string
function Histogram:row() end

---Makes a machine and loads a kernel into it. kernel is a file, or the name of an adapter in scenarios/kernels/.
---@param options MachineOptions
---@return Machine
function orrery.machine(options) end

---A histogram of this machine by its name, made at the first use; also m.counters[name].
---@param name string
---@return Histogram
function Machine:counter(name) end

---Profiles the machine while a function runs it: a row for each function and vCPU, most cycles first. Fields: cpu, program, name,
---file, cycles, instructions, interrupts (that it was interrupted by), interrupts_off_cycles, and under a timing model its counters
---(store_forwards, l1d_misses, ...).
---@param body fun()
---@return table[]
function Machine:profile_of(body) end

---Runs for so many cycles; returns why it stopped, "cycle limit" when nothing else did.
---@param cycles integer
---@return string
function Machine:run(cycles) end

---Boots until the console has printed a text; the default is what the adapter's kernel prints when it is ready. A boot that does
---not come so far fails the test. Without within it is given up after 60 simulated seconds.
---@param options? { until_text?: string, within?: integer }
---@return Machine self
function Machine:boot(options) end

---Waits for a text on a serial port (0, the console, unless port says another), or until a function returns true, which is
---asked every so many cycles (10 us unless every says otherwise). What does not come fails the test; given up after within
---cycles, 60 simulated seconds by default.
---@param options { text?: string, port?: integer, when?: (fun(): boolean), every?: integer, within?: integer }
---@return Machine self
function Machine:wait_for(options) end

---Calls a function before every execution of a symbol's first instruction.
---@param symbol string
---@param fn fun(cpu: integer, cycle: integer)
---@return integer id for m:unprobe
function Machine:on_entry(symbol, fn) end

---The addresses of the instructions of a symbol, ascending, as they lie in memory now.
---@param symbol string
---@return integer[]
function Machine:code_of(symbol) end

---Calls a function when a call of a symbol returns; it may set rax. m:unprobe of the id ends it for calls to come.
---@param symbol string
---@param fn fun(cpu: integer, cycle: integer, rax: integer)
---@return integer id for m:unprobe
function Machine:on_return(symbol, fn) end

---Makes the next call of a symbol return a value without running it; with always every one, with when only those for which the
---function returns true.
---@param symbol string
---@param value integer
---@param options? { always?: boolean, when?: (fun(cpu: integer): boolean) }
---@return integer id for m:unprobe
function Machine:fail_call(symbol, value, options) end

---Sends the driver a line (docs/init-protocol.md) and returns its answer: one line, or with until_line all up to the line that
---is this text. Given up after within cycles, 10 simulated seconds by default: the test fails.
---@param line string
---@param options? { until_line?: string, within?: integer }
---@return string
function Machine:ask(line, options) end

---Starts a program through the driver: m:command("forkstorm --processes 1000"):wait(). One that cannot be started fails the
---test.
---@param line string
---@return Command
function Machine:command(line) end

---Waits until the program has ended; then command.status and command.cycles are known. One that does not end within the
---cycles, 60 simulated seconds by default, fails the test.
---@param options? { within?: integer }
---@return Command self
function Command:wait(options) end

---Begins an expectation. Without a label a failure is told with the expression in the brackets.
---@param value any
---@param label? string
---@return Expectation
function expect(value, label) end

---Equal, as == has it: two tables are equal only if they are one.
---@param other any
function Expectation:to_be(other) end

---Not equal.
---@param other any
function Expectation:not_to_be(other) end

---Less than a limit of the same type.
---@param limit number|string
function Expectation:to_be_below(limit) end

---More than a limit of the same type.
---@param limit number|string
function Expectation:to_be_above(limit) end

---The limit or more.
---@param limit number|string
function Expectation:to_be_at_least(limit) end

---The limit or less.
---@param limit number|string
function Expectation:to_be_at_most(limit) end

---A text that has another in it.
---@param text string
function Expectation:to_contain(text) end

---A text that matches a Lua pattern somewhere.
---@param pattern string
function Expectation:to_match(pattern) end

---A function that errs when it is called, with a message that has the text in it.
---@param text? string
function Expectation:to_err(text) end

---A group of tests.
---@param name string
---@param body fun()
function describe(name, body) end

---A line of the report under the test that is running.
---@param text string
function orrery.note(text) end

---A test: it fails when an expectation in it fails or when it errs.
---@param name string
---@param body fun()
function it(name, body) end

---runs until a cycle or a stop; returns why it stopped
---@param cycle integer
---@return string
function Machine:run_until(cycle) end

---runs until a serial port has printed text since the last match; nil and the reason otherwise; 0 is the console, 1 the driver, 2 the debug console
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

---everything a serial port has printed, after its first from bytes
---@param port integer
---@param from? integer
---@return string
function Machine:console(port, from) end

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

---the 16 bytes of a vector register, the lowest one first; the guest need not be able to use it at the moment
---@param cpu integer
---@param number integer
---@return string
function Machine:xmm(cpu, number) end

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

---pages and tables that the vCPU has cached and could use now, and that the tables in memory do not have or grant less; 4-level paging
---@param cpu integer
---@return { linear: integer
---@return physical: integer
---@return size: integer
---@return table: boolean }[]
function Machine:stale(cpu) end

---bytes of a disk as the guest has left it; disks and offsets count from 0
---@param disk integer
---@param offset integer
---@param size integer
---@return string|nil
---@return string?
function Machine:read_disk(disk, offset, size) end

---writes RAM (an effect)
---@param address integer
---@param bytes string
function Machine:write_physical(address, bytes) end

---address and size of a kernel symbol
---@param name string
---@return integer|nil
---@return integer|string
function Machine:symbol(name) end

---the code where a function was inlined, ascending: addresses of the first and the last byte
---@param name string
---@return { first: integer
---@return last: integer }[]
function Machine:inlined(name) end

---symbol, file and line of a code address
---@param address integer
---@return string
function Machine:describe(address) end

---the instruction at a linear address, as text in the mode of a vCPU (0 unless cpu says another), and its length in bytes, 0 where there is none
---@param address integer
---@param cpu? integer
---@return string
---@return integer
function Machine:disassemble(address, cpu) end

---calls fn before the instruction at a linear address executes; returns an id
---@param address integer
---@param fn fun(cpu: integer, cycle: integer)
---@return integer
function Machine:probe(address, fn) end

---removes a probe
---@param id integer
function Machine:unprobe(id) end

---from a probe: makes the run return
function Machine:stop() end

---the vCPU's clock jumps by cycles before its next instruction once register `retired` is step or more (an effect)
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

---counts false sharing from here on (docs/profile.md); on machines with a timing model
function Machine:count_sharing() end

---counts from here on which instruction every cycle belongs to (docs/profile.md); the profile before this one is gone
function Machine:start_profile() end

---counts no more; m:profile still tells
function Machine:stop_profile() end

---the profile as text: folded (stacks), json (speedscope), tsv (counters of functions and vCPUs), md (of functions)
---@param format string
---@return string
function Machine:profile(format) end

---number of effects in the log
---@return integer
function Machine:effects() end

---from a probe on the kernel's panic: the run ends with status 3 and a back-trace of this vCPU
---@param cpu integer
function Machine:guest_crashed(cpu) end
