-- zen4-like: after AMD's Zen 4 (family 19h), one thread a core, at 3.0 GHz, the cores around one L3. Like it, not it:
-- docs/timing.md (section 13) says what the model leaves out. Besides, two things that its ports cannot say: Zen 4 makes two
-- vector loads and one vector store in a cycle where this one makes three and two. docs/machines.md says how this table is
-- written and what the tags mean.
--
-- Where a number is from, in short; what follows the colon says which row, section or figure.

-- Read through the comments of LLVM's file, which quote the guide section by section.
local SOG = "AMD 57647, Software Optimization Guide for Zen 4, "
local LLVM = "LLVM 19, X86ScheduleZnver4.td, by llvm-mca-19 -mcpu=znver4 -instruction-tables: "
-- Tiers V1 and V2 of docs/fidelity/authenticamd-19-11-01/, a Zen 4: name of the kernel and its cycles.
local V1 = "docs/fidelity/authenticamd-19-11-01, tier V1: "
local V2 = "docs/fidelity/authenticamd-19-11-01, tier V2: "
local AMD = "AMD's figure for Zen 4: "
local VIEW = "AnandTech, Zen 4 review (2022), "
-- What user mode cannot see. Tier V5 asks what changes when it is half or one and a half of that.
local UNSEEN = "uncalibrated, no public figure found; order of magnitude: "

return {
    name = "zen4-like",
    about = "after AMD Zen 4 at 3.0 GHz; system costs uncalibrated",

    parameters = {
        -- the core
        dispatch_width = { 6, "vendor", SOG .. "2.9.8: 6 macro ops a cycle" },
        retire_width = { 9, "llvm", LLVM .. "Zn4RCU, 9 macro ops a cycle" },
        reorder_buffer = { 320, "vendor", SOG .. "2.10.3: 320 macro ops in flight without SMT" },
        load_queue = { 72, "vendor", SOG .. "2.12: up to 72 out-of-order loads" },
        store_queue = { 64, "vendor", SOG .. "2.12: 64 entries" },
        in_order = { 0, "vendor", SOG .. "2.10.1: schedulers issue out of order" },

        -- the front end and prediction
        mispredict_cycles = { 13, "vendor", SOG .. "2.8: 11 to 18 cycles, commonly 13" },
        decode_redirect_cycles = { 9, "assumed", "between a second-level hit and a misprediction (tier V2)" },
        taken_bubble_cycles = { 1, "assumed", "one taken branch a cycle: what follows it comes in the next one (tier V2)" },
        base_bits = { 14, "assumed", "16384 counters; AMD publishes no sizes of its TAGE predictor" },
        tagged_bits = { 12, "assumed", "4096 entries a table; AMD publishes no sizes of its TAGE predictor" },
        history_1 = { 12, "assumed", "of two tables the short history; AMD publishes no lengths" },
        history_2 = { 48, "assumed", "of two tables the long history; AMD publishes no lengths" },
        btb_bits = { 14, "vendor", VIEW .. "execution pipeline: 2 x 7k in the second level; a power of two" },
        indirect_bits = { 12, "assumed", "4096 targets; AMD's array is said to have some 3000" },
        return_stack = { 32, "assumed", "as in Zen (AnandTech, Zen microarchitecture, part 2); not checked for Zen 4" },

        -- loads and stores
        l1_load_cycles = { 4, "measured", V1 .. "load_lat, 4.02" },
        vector_load_cycles = { 2, "measured", V1 .. "load_vector_lat, 9.03, with VMASK's 3; the guide says 7 to use, not 6 (2.12)" },
        split_cycles = { 2, "measured", V2 .. "load_cross_line, 7.03" },
        -- A store is known one cycle after its address: 9 cycles through an address.
        forward_cycles = { 8, "measured", V1 .. "forward_lat, 9.31, of which 1 is the store's" },
        forward_renamed_cycles = { 1, "measured", V1 .. "forward_same_lat, 1.00" },
        forward_fail_cycles = { 13, "measured", V2 .. "forward_4_8_wide, 19.07: commit, the load's 4, and this" },
        store_gap = { 1, "assumed", "a commit a cycle, several only to one line; no row of V1 or V2 tells" },
        store_prefetch = { 1, "assumed", "a store asks for its line before it commits, as every core of its class does" },

        -- translation
        dtlb_entries = { 72, "measured", V2 .. "tlb_4K_72, 4.02, and tlb_4K_76, 11.05" },
        itlb_entries = { 64, "assumed", "as in Zen (AnandTech, Zen microarchitecture, part 2); not checked for Zen 4" },
        tlb_l2_cycles = { 7, "measured", V2 .. "tlb_4K_128, 11.04, with the load's 4" },
        walk_cycles = { 8, "assumed", "as long as the second level, which has missed before; " ..
            "V2 does not tell it from the loads of the walk" },
        ad_update_cycles = { 30, "assumed", UNSEEN .. "some locked operations" },

        -- caches
        l1i_sets = { 64, "vendor", AMD .. "32 KiB, 8 ways" },
        l1i_ways = { 8, "vendor", AMD .. "32 KiB, 8 ways" },
        l1d_sets = { 64, "vendor", AMD .. "32 KiB, 8 ways" },
        l1d_ways = { 8, "vendor", AMD .. "32 KiB, 8 ways" },
        l2_sets = { 2048, "vendor", AMD .. "1 MiB, 8 ways" },
        l2_ways = { 8, "vendor", AMD .. "1 MiB, 8 ways" },
        l3_sets = { 32768, "vendor", AMD .. "32 MiB, 16 ways" },
        l3_ways = { 16, "vendor", AMD .. "32 MiB, 16 ways" },
        l2_cycles = { 14, "measured", V2 .. "chase_4K_64, 14.07" },
        l3_cycles = { 50, "assumed", "about 50; V2 has chase_2M_1536, 51.60, and chase_2M_2048, 54.21" },
        cache_to_cache_cycles = { 150, "assumed", "about 150 one way. " ..
            VIEW .. "core to core: 45 to 57 within a complex, 239 between two" },
        snoop_cycles = { 75, "assumed", "half of the way there and back" },

        -- memory: DDR5-4800B, 40-39-39, two channels of two subchannels, chips of 16 Gbit x8; 2.4 GHz against our 3.0
        dram_channels = { 4, "assumed", "two DIMMs of two subchannels each" },
        dram_banks = { 32, "assumed", "JEDEC JESD79-5: 8 groups of 4 banks" },
        dram_row_lines = { 64, "assumed", "JEDEC JESD79-5: pages of 1 KiB in each of the four x8 chips of a subchannel" },
        dram_cas_cycles = { 50, "assumed", "DDR5-4800B (JEDEC JESD79-5): CL 40, 16.67 ns" },
        dram_activate_cycles = { 49, "assumed", "DDR5-4800B (JEDEC JESD79-5): tRCD 39 clocks, 16.25 ns" },
        dram_precharge_cycles = { 49, "assumed", "DDR5-4800B (JEDEC JESD79-5): tRP 39 clocks, 16.25 ns" },
        dram_burst_cycles = { 10, "assumed", "DDR5-4800B (JEDEC JESD79-5): 16 transfers of 4 bytes, 3.33 ns" },
        dram_fabric_cycles = { 141, "assumed", "makes a read that opens a row 300 cycles, 100 ns, in all (tier V2)" },

        -- the system
        exception_cycles = { 200, "assumed", UNSEEN .. "microcode that reads the IDT and writes a frame" },
        interrupt_cycles = { 300, "assumed", UNSEEN .. "an exception and the acknowledgement" },
        mmio_cycles = { 300, "assumed", UNSEEN .. "100 ns" },
        wake_cycles = { 1000, "assumed", UNSEEN .. "a third of a microsecond out of C1" },
        ipi_cycles = { 300, "assumed", UNSEEN .. "100 ns" },
        ioapic_cycles = { 300, "assumed", UNSEEN .. "100 ns" },
        rep_start_cycles = { 10, "measured", V1 .. "rep_movsb_64, 13.94; rep_stosb_64, 9.06" },
        string_chunk_bytes = { 16, "measured", V1 .. "rep_movsq_1024, 58.30; rep_stosq_2048, 68.28: 18 and 30 bytes a cycle; the power of two below" },
    },

    -- Pipes and sets of pipes. A class takes a place in each group that it names: in its own, and in those that have it.
    ports = {
        alu = { 4, "vendor", SOG .. "2.10.2: four integer pipes" },
        alu12 = { 2, "llvm", LLVM .. "Zn4ALU12: shifts, bit tests" },
        alu1 = { 1, "llvm", LLVM .. "Zn4Multiplier, Zn4ALU1: multiply, PDEP, CRC32" },
        branch = { 2, "llvm", LLVM .. "Zn4BRU01: a branch pipe of its own, and ALU0" },
        agu = { 3, "vendor", SOG .. "2.10.2, 2.12: three addresses, three memory operations a cycle" },
        store = { 2, "vendor", SOG .. "2.12: of them at most two stores" },
        fp = { 4, "llvm", LLVM .. "Zn4FPU0123" },
        fp01 = { 2, "llvm", LLVM .. "Zn4FPFMul01: multiply, compare" },
        fp03 = { 2, "llvm", LLVM .. "Zn4FPVMul01: integer multiply" },
        fp12 = { 2, "llvm", LLVM .. "Zn4FPVShuf01, Zn4FPVShift01: shuffle, shift" },
        fp23 = { 2, "llvm", LLVM .. "Zn4FPFAdd01, Zn4FPFCvt01: add, convert" },
        fp1 = { 1, "llvm", LLVM .. "Zn4FPFDiv: divide, square root" },
        fp45 = { 2, "llvm", LLVM .. "Zn4FP45: to and from general registers" },
    },
    load_ports = { "agu", "vendor", SOG .. "2.12: all three memory operations can be loads" },
    store_ports = { "agu store", "vendor", SOG .. "2.12: at most two of them are stores" },

    -- Rows: the names of classes, tag and source of the row's values; a value with a source of its own has it beside it.
    classes = {
        { "NOP", "llvm", LLVM .. "nop: 1 op, no latency", ops = 1 },
        { "ZERO MOVE VMOVE", "llvm", LLVM .. "Zn4IntegerPRF, Zn4FpPRF: six moves a cycle are renamed away", ops = 1 },
        { "LOAD STORE VLOAD VSTORE", "llvm", LLVM .. "mov and movaps from and to memory: 1 op", ops = 1 },

        -- general registers
        { "ALU", "measured", V1 .. "add_lat, 1.01", ops = 1, latency = 1,
            ports = { "alu", "llvm", LLVM .. "add: any of four" } },
        { "LEA", "llvm", LLVM .. "lea of two parts: 1 op, 1 cycle", ops = 1, latency = 1,
            ports = { "alu", "assumed", "any of four, as uops.info shows for Zen cores; LLVM has the address units here" } },
        { "LEA_SLOW", "llvm", LLVM .. "lea of three parts or scaled: 2 cycles", latency = 2,
            ops = { 1, "assumed", "one op, as for the cores before; LLVM has two" },
            ports = { "alu alu12", "assumed", "two of the four; no row of V1 tells" } },
        { "SHIFT", "measured", V1 .. "rol_lat, 1.01", ops = 1, latency = 1,
            ports = { "alu alu12", "llvm", LLVM .. "shl, rol, shlx, bextr" } },
        { "ROTATE_CARRY", "llvm", LLVM .. "rcl by 1; other counts are 9 ops, 4 cycles", ops = 1, latency = 1,
            ports = "alu alu12" },
        { "SHIFT_DOUBLE", "llvm", LLVM .. "shld by a constant; by CL 5 ops", ops = 4, latency = 2, ports = "alu alu12" },
        { "BIT", "llvm", LLVM .. "bt; bts, btr, btc are 2 ops, 2 cycles", ops = 1, latency = 1, ports = "alu alu12" },
        { "SCAN", "measured", V1 .. "bsf_lat, 2.01, of which 1 is another's", latency = 1,
            ops = { 1, "measured", V1 .. "tzcnt_tp, 0.25; bsf may be more" },
            ports = { "alu", "measured", V1 .. "tzcnt_tp, 0.25: any of four" } },
        { "COUNT", "measured", V1 .. "popcnt_lat, 1.01", ops = 1, latency = 1,
            ports = { "alu", "llvm", LLVM .. "popcnt: any of four" } },
        { "DEPOSIT", "llvm", LLVM .. "pdep, pext, crc32", ops = 1, latency = 3, ports = "alu alu1" },
        { "MUL", "measured", V1 .. "imul_lat, 3.01", ops = 1, latency = 3,
            ports = { "alu alu1", "llvm", LLVM .. "imul" } },
        { "MUL_WIDE", "llvm", LLVM .. "mul: 2 ops, 3 cycles", ops = 2, latency = 3, ports = "alu alu1" },
        -- Latency depends on the data, which the model knows nothing of.
        { "DIV8", "llvm", LLVM .. "div bl", ops = 2, latency = 10, ports = "alu", unit = "divider",
            occupy = { 6, "assumed", "as DIV32's; no row of V1" } },
        { "DIV16", "llvm", LLVM .. "div bx", ops = 2, latency = 11, ports = "alu", unit = "divider",
            occupy = { 6, "assumed", "as DIV32's; no row of V1" } },
        { "DIV32", "llvm", LLVM .. "div ebx", ops = 2, ports = "alu", unit = "divider",
            latency = { 10, "measured", V1 .. "div32_lat, 11.06, of which 1 is another's" },
            occupy = { 6, "measured", V1 .. "div32_tp, 6.04" } },
        { "DIV64", "llvm", LLVM .. "div rbx", ops = 2, ports = "alu", unit = "divider",
            latency = { 14, "measured", V1 .. "div64_lat, 15.05, of which 1 is another's; idiv64_lat, 15.05, of which 2" },
            occupy = { 10, "assumed", "takes the next before the last is done; no row of V1" } },
        { "XCHG", "llvm", LLVM .. "xchg, xadd: 2 ops; cmpxchg is 5 ops, 3 cycles", ops = 2, ports = "alu",
            latency = { 0, "measured", V1 .. "xchg_lat, two in 0.68: what dispatch allows" } },
        { "BRANCH INDIRECT CALL CALL_INDIRECT", "llvm", LLVM .. "jmp, jcc, call: 1 op, 1 cycle", ops = 1, latency = 1,
            ports = "branch" },
        { "RET", "llvm", LLVM .. "ret: 1 op; 5 cycles with its load of 4", ops = 1, latency = 1, ports = "branch" },
        { "STRING", "assumed", "load, store, pointers; V1 has rep_movsb_64, 13.94, and rep_stosb_64, 9.06, both 12.25 here",
            ops = 3, latency = 1, ports = "alu" },

        -- vector registers
        { "VALU", "llvm", LLVM .. "paddd, pand, pcmpeqd, pmaxsd", ops = 1, latency = 1, ports = "fp" },
        { "VSHIFT", "llvm", LLVM .. "pslld by a constant; by a register 2 cycles", ops = 1, latency = 1, ports = "fp fp12" },
        { "VSHUFFLE", "llvm", LLVM .. "pshufd, pshufb, punpckldq, shufps; packs and palignr 2 cycles", ops = 1, latency = 1,
            ports = "fp fp12" },
        { "VMUL", "llvm", LLVM .. "pmulld, pmullw, pmuludq, pmaddwd", ops = 1, latency = 3, ports = "fp fp03" },
        { "VMASK", "llvm", LLVM .. "movd, movq, pextrd: 1 or 2 ops in FP45", ops = 1, ports = "fp45",
            latency = { 3, "assumed", "between the register files; LLVM's 1 cycle is none. V1 has movq_round_lat, two in 7.03" } },
        { "VSTRING", "llvm", LLVM .. "pcmpistri: 4 ops", ops = 4, ports = "fp",
            latency = { 7, "assumed", "LLVM's 2 cycles are those of one of the ops; no row of V1" } },
        { "FADD", "measured", V1 .. "addsd_lat, 3.01", ops = 1, latency = 3,
            ports = { "fp fp23", "llvm", LLVM .. "addps; minps and cmpps are in FP0 and FP1, 2 cycles" } },
        { "FMUL", "measured", V1 .. "mulsd_lat, 3.01", ops = 1, latency = 3,
            ports = { "fp fp01", "llvm", LLVM .. "mulps" } },
        { "FHADD", "llvm", LLVM .. "haddps; dpps is 8 ops, 11 cycles", ops = 3, latency = 4, ports = "fp fp23" },
        { "FCOMPARE", "llvm", LLVM .. "comisd, ucomiss", ops = 2, latency = 4, ports = "fp fp01" },
        { "FCONVERT", "llvm", LLVM .. "cvtps2pd, cvtdq2ps; from general registers 2 ops, 5 cycles", ops = 1, latency = 3,
            ports = "fp fp23" },
        { "FDIV32", "llvm", LLVM .. "divps", ops = 1, latency = 11, ports = "fp fp1", unit = "fdiv", occupy = 3 },
        { "FDIV64", "llvm", LLVM .. "divpd", ops = 1, latency = 13, ports = "fp fp1", unit = "fdiv", occupy = 5 },
        { "FSQRT32", "llvm", LLVM .. "sqrtps", ops = 1, latency = 15, ports = "fp fp1", unit = "fdiv", occupy = 5 },
        { "FSQRT64", "llvm", LLVM .. "sqrtpd", ops = 1, latency = 21, ports = "fp fp1", unit = "fdiv", occupy = 9 },

        -- MMX, x87
        { "MMX", "llvm", LLVM .. "paddd of mm registers", ops = 1, latency = 1, ports = "fp" },
        { "X87", "llvm", LLVM .. "fadd; fmul in FP0 and FP1", ops = 1, latency = 3, ports = "fp fp23" },
        { "X87_DIV", "llvm", LLVM .. "fdiv", ops = 1, latency = 11, ports = "fp fp1", unit = "fdiv", occupy = 3 },
        { "X87_TRANS", "llvm", LLVM .. "fsin, f2xm1: 100 cycles, LLVM's word for microcode", latency = 100, ports = "fp",
            ops = { 31, "assumed", "microcode; the most that the model allows" } },

        -- order
        { "LOCKED", "measured", V1 .. "lock_xadd_lat, 7.90", latency = 8,
            ops = { 4, "assumed", "load, add, store, order; no row of V1 tells" } },
        { "FENCE_LOAD", "llvm", LLVM .. "lfence: 10 cycles of the load-store unit", ops = 1, latency = 10 },
        { "FENCE_STORE", "llvm", LLVM .. "sfence", ops = 1, latency = 1, ports = "agu" },
        { "FENCE", "measured", V1 .. "mfence, 58.59", ops = 1, latency = 58 },
        { "PAUSE", "assumed", "of the order said of Zen 2 and later; no row of V1", ops = 1, latency = 65 },

        -- the system
        { "TIME", "measured", V1 .. "rdtsc, 35.13", ops = 1, latency = 35 },
        { "RANDOM", "assumed", "a third of a microsecond and more; no row of V1", ops = 1, latency = 1200 },
        { "FSBASE", "assumed", "no row of V1", ops = 1, latency = 10 },
        { "PUSH_ALL", "assumed", "ENTER, MASKMOV: microcode; no row of V1", ops = 8, latency = 10 },
        { "FPSTATE", "assumed", "FXSAVE, XSAVE: 512 bytes and more; no row of V1", ops = 31, latency = 100 },
        { "CPUID", "assumed", "microcode; no row of V1", ops = 31, latency = 100 },
        { "SYSCALL SYSRET", "assumed", UNSEEN .. "half of a round trip of about 100 cycles", ops = 1, latency = 50 },
        { "IRET", "assumed", UNSEEN .. "as the delivery that it returns from", ops = 1, latency = 200 },
        { "FAR", "assumed", UNSEEN .. "segments are loaded and checked", ops = 1, latency = 150 },
        { "CR3", "assumed", UNSEEN .. "all translations of the process go", ops = 1, latency = 180 },
        { "CR3_KEEP", "assumed", UNSEEN .. "serialising, and no more", ops = 1, latency = 120 },
        { "MSR", "assumed", UNSEEN .. "microcode, mostly serialising", ops = 1, latency = 100 },
        { "FLAGS", "assumed", UNSEEN .. "a few cycles", ops = 1, latency = 5 },
        { "POPF", "assumed", UNSEEN .. "microcode", ops = 1, latency = 30 },
        { "SWAPGS", "assumed", UNSEEN .. "a few cycles", ops = 1, latency = 20 },
        { "INVLPG", "assumed", UNSEEN .. "two levels of TLB are searched", ops = 1, latency = 100 },
        { "HALT", "assumed", UNSEEN .. "microcode", ops = 1, latency = 100 },
        { "IO", "assumed", UNSEEN .. "half a microsecond to the south bridge", ops = 1, latency = 1500 },
        { "SYSTEM", "assumed", UNSEEN .. "microcode, serialising", ops = 1, latency = 100 },
    },
}
