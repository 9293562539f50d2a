-- redwood-cove-like: after the core of the host of docs/fidelity/genuineintel-06-a7-01. Its hypervisor names a model (167)
-- that has no AMX, as this CPU has; what fits are an instruction cache of 64 KiB in 16 ways, a second cache of 2 MiB and a
-- third of 480 MiB (CPUID leaf 4), AMX, AVX512-FP16, and multiplications of doubles in 3 cycles, where Golden Cove has 4:
-- Redwood Cove, as in Granite Rapids. Like it, not it: docs/timing.md (section 13) says what the model leaves out,
-- docs/machines.md what its rules cannot say of this CPU. Set by the rows of V1 and V2 only, never by V3 or V4.

-- Rows of docs/fidelity/genuineintel-06-a7-01/native.json: a virtual machine of that host; others share its caches.
local ROW = "scripts/validate-timing --native-only on family 6 model 167, medians of 201: "
local LEAF4 = "CPUID leaf 4 of that host: "
local COVE = "Golden Cove, whose sizes Redwood Cove keeps (Chips and Cheese, 2021 and 2024): "
local UNREAD = "Golden Cove by common account, no source at hand read: "
local LLVM = "LLVM 19, X86SchedSapphireRapids.td, by llvm-mca-19 -mcpu=sapphirerapids -instruction-tables: "
-- What user mode cannot see. Tier V5 asks what changes when it is half or one and a half of that.
local UNSEEN = "uncalibrated, as in zen4-like, order of magnitude: "
-- Neither seen by a row nor found anywhere.
local ASZEN = "as in zen4-like; no row of V1 or V2 tells: "

return {
    name = "redwood-cove-like",
    about = "after Intel Redwood Cove at 4.1 GHz, in a virtual machine; system costs uncalibrated",

    parameters = {
        -- the core
        dispatch_width = { 6, "measured", ROW .. "nop_tp, mov_tp, zero_tp 0.17 cycles" },
        retire_width = { 8, "assumed", UNREAD .. "retirement of 8 micro-operations" },
        reorder_buffer = { 512, "assumed", UNREAD .. "512 entries" },
        load_queue = { 192, "assumed", UNREAD .. "192 loads" },
        store_queue = { 64, "assumed", UNREAD .. "114 stores, of which the model has 64 at most" },
        in_order = { 0, "vendor", COVE .. "out of order" },

        -- the front end and prediction
        mispredict_cycles = { 20, "measured", ROW .. "branch_chance_50 less branch_chance_0: 24.5 a misprediction, " ..
            "4.4 of them the chain that finds it" },
        decode_redirect_cycles = { 9, "assumed", ASZEN .. "between a second-level hit and a misprediction" },
        taken_bubble_cycles = { 1, "measured", ROW .. "call_ret_tp 3.03, one for each of three taken branches" },
        base_bits = { 16, "assumed", "the most that the model has; branch_period_2048 is still predicted" },
        tagged_bits = { 14, "assumed", "the most that the model has; branch_period_2048 is still predicted" },
        history_1 = { 16, "assumed", "of two tables the short history; Intel publishes no lengths" },
        history_2 = { 64, "assumed", "the most that the model has; branch_period_2048 is still predicted" },
        btb_bits = { 14, "vendor", COVE .. "12K entries; a power of two" },
        indirect_bits = { 12, "assumed", ASZEN .. "4096 targets" },
        return_stack = { 64, "measured", ROW .. "call_depth_64 3.60, no misprediction in it yet" },

        -- loads and stores
        l1_load_cycles = { 5, "measured", ROW .. "load_lat, chase_4K_4 5.00" },
        vector_load_cycles = { 1, "measured", ROW .. "load_vector_lat 8.00 = 5 + 1 + 2 of movq" },
        split_cycles = { 7, "measured", ROW .. "load_cross_line 13.00, of which 5 are the load and 1 its AND" },
        forward_cycles = { 5, "measured", ROW .. "push_pop_lat, forward_8_4_high, forward_8_1_inner 5.00" },
        forward_renamed_cycles = { 1, "measured", ROW .. "forward_same_lat 0.50; the model has no less than 1" },
        forward_fail_cycles = { 12, "measured", ROW .. "forward_8_8_overlap 19.00, forward_4_8_wide 20.02" },
        store_gap = { 1, "assumed", ASZEN .. "a commit a cycle, several only to one line" },
        store_prefetch = { 1, "assumed", "a store asks for its line before it commits, as every core of its class does" },

        -- translation
        dtlb_entries = { 96, "measured", ROW .. "tlb_4K_96 5.00, tlb_4K_104 6.87" },
        itlb_entries = { 256, "vendor", COVE .. "256 entries" },
        tlb_l2_cycles = { 7, "measured", ROW .. "tlb_4K_128 to tlb_4K_512 12.01, less 5" },
        walk_cycles = { 40, "measured", ROW .. "tlb_4K_4096 72.87: two dimensions, of which the model walks one" },
        ad_update_cycles = { 30, "assumed", UNSEEN .. "some locked operations" },

        -- caches
        l1i_sets = { 64, "vendor", LEAF4 .. "64 KiB, 16 ways" },
        l1i_ways = { 16, "vendor", LEAF4 .. "64 KiB, 16 ways" },
        l1d_sets = { 64, "vendor", LEAF4 .. "48 KiB, 12 ways" },
        l1d_ways = { 16, "vendor", LEAF4 .. "12 ways, of which the model has 8 or 16: right to chase_4K_48, wrong at _64" },
        l2_sets = { 2048, "vendor", LEAF4 .. "2 MiB, 16 ways" },
        l2_ways = { 16, "vendor", LEAF4 .. "2 MiB, 16 ways" },
        l3_sets = { 8192, "measured", ROW .. "chase_2M_8192 150, chase_2M_16384 420: what others leave of 480 MiB" },
        l3_ways = { 16, "vendor", LEAF4 .. "16 ways" },
        l2_cycles = { 16, "measured", ROW .. "chase_4K_128, chase_4K_256 15.99, 16.00" },
        l3_cycles = { 128, "measured", ROW .. "chase_2M_4096 135, less 7 of the translation" },
        cache_to_cache_cycles = { 250, "assumed", "twice as far as L3; no row has two CPUs" },
        snoop_cycles = { 125, "assumed", "half of the way there and back" },

        -- memory: of the host nothing is known but the time of a load
        dram_channels = { 8, "assumed", "as many as the model needs not to be the limit of one CPU" },
        dram_banks = { 32, "assumed", "JEDEC JESD79-5: 8 groups of 4 banks" },
        dram_row_lines = { 128, "assumed", "rows of 8 KiB" },
        dram_cas_cycles = { 68, "assumed", "16.67 ns (JEDEC JESD79-5) at 4.1 GHz" },
        dram_activate_cycles = { 67, "assumed", "16.25 ns (JEDEC JESD79-5) at 4.1 GHz" },
        dram_precharge_cycles = { 67, "assumed", "16.25 ns (JEDEC JESD79-5) at 4.1 GHz" },
        dram_burst_cycles = { 14, "assumed", "3.33 ns (JEDEC JESD79-5) at 4.1 GHz" },
        dram_fabric_cycles = { 240, "measured", ROW .. "chase_2M_65536 587, less translation, L3 and the DRAM" },

        -- the system
        exception_cycles = { 200, "assumed", UNSEEN .. "microcode that reads the IDT and writes a frame" },
        interrupt_cycles = { 300, "assumed", UNSEEN .. "an exception and the acknowledgement" },
        mmio_cycles = { 300, "assumed", UNSEEN .. "100 ns" },
        wake_cycles = { 1000, "assumed", UNSEEN .. "a third of a microsecond out of C1" },
        ipi_cycles = { 300, "assumed", UNSEEN .. "100 ns" },
        ioapic_cycles = { 300, "assumed", UNSEEN .. "100 ns" },
        rep_start_cycles = { 8, "measured", ROW .. "rep_movsb_64 9.01, rep_stosb_64 8.05" },
        string_chunk_bytes = { 32, "assumed", "rep_movsb_64 fits; rep_movsq_1024 and rep_stosq_2048 start later" },
    },

    -- Five execution ports, which integers and vectors share, and addresses of three loads and two stores.
    ports = {
        alu = { 5, "measured", ROW .. "add_tp 0.21, movimm_tp 0.20; ports 0, 1, 5, 6, 10" },
        p06 = { 2, "measured", ROW .. "shl_tp 0.51, jcc_not_taken_tp 0.51" },
        p1 = { 1, "measured", ROW .. "imul_tp, popcnt_tp, tzcnt_tp 1.00" },
        fp = { 3, "measured", ROW .. "pxor_tp 0.34; ports 0, 1, 5" },
        p01 = { 2, "measured", ROW .. "mulpd_tp 0.50" },
        p15 = { 2, "measured", ROW .. "addsd_tp 0.50" },
        p0 = { 1, "llvm", LLVM .. "SPRPort00" },
        p5 = { 1, "llvm", LLVM .. "SPRPort05" },
        load = { 3, "measured", ROW .. "load_tp 0.33, load_vector_tp 0.33" },
        store = { 2, "measured", ROW .. "store_tp 0.50" },
    },
    load_ports = { "load", "measured", ROW .. "load_store_tp 0.25: two loads beside two stores in a cycle" },
    store_ports = { "store", "measured", ROW .. "load_store_tp 0.25: two loads beside two stores in a cycle" },

    -- Rows: the names of classes, tag and source of the row's values; a value with a source of its own has it beside it.
    classes = {
        { "NOP", "measured", ROW .. "nop_tp 0.17", ops = 1 },
        { "ZERO MOVE VMOVE", "measured", ROW .. "zero_tp, sub_zero_tp, mov_lat, movaps_lat 0.17", ops = 1 },
        { "LOAD STORE VLOAD VSTORE", "measured", ROW .. "load_tp 0.33, store_tp 0.50", ops = 1 },

        -- general registers
        { "ALU", "measured", ROW .. "add_lat, adc_lat, neg_lat, movsxd_lat 1.00, add_tp 0.21", ops = 1, latency = 1,
            ports = "alu" },
        { "LEA", "measured", ROW .. "lea_lat 1.00; lea_tp 0.17: a base and a constant take no port", ops = 1, latency = 1,
            ports = "" },
        { "LEA_SLOW", "measured", ROW .. "lea3_lat 2.00", ops = 1, latency = 2,
            ports = { "alu p1", "llvm", LLVM .. "lea of three parts: port 1" } },
        { "SHIFT", "measured", ROW .. "shl_lat, rol_lat 1.00, shl_tp 0.51", ops = 1, latency = 1, ports = "alu p06" },
        { "ROTATE_CARRY", "llvm", LLVM .. "rcl by 1", ops = 3, latency = 2, ports = "alu p06" },
        { "SHIFT_DOUBLE", "measured", ROW .. "shld_lat 3.00", latency = 3,
            ops = { 1, "llvm", LLVM .. "shld by a constant" }, ports = { "alu p1", "llvm", LLVM .. "shld by a constant" } },
        { "BIT", "measured", ROW .. "bt_setc_lat 2.00, of which 1 is setc", latency = 1,
            ops = { 1, "llvm", LLVM .. "bt" }, ports = { "alu p1", "llvm", LLVM .. "bt" } },
        { "SCAN", "measured", ROW .. "lzcnt_lat 3.00, tzcnt_tp 1.00", ops = 1, latency = 3, ports = "alu p1" },
        { "COUNT", "measured", ROW .. "popcnt_lat 3.00, popcnt_tp 1.00", ops = 1, latency = 3, ports = "alu p1" },
        { "DEPOSIT", "llvm", LLVM .. "pdep, pext, crc32", ops = 1, latency = 3, ports = "alu p1" },
        { "MUL", "measured", ROW .. "imul_lat 3.00, imul_tp 1.00", ops = 1, latency = 3, ports = "alu p1" },
        { "MUL_WIDE", "measured", ROW .. "mul64_lat 3.00", latency = 3,
            ops = { 2, "llvm", LLVM .. "mul" }, ports = { "alu p1", "llvm", LLVM .. "mul" } },
        -- Latency depends on the data, which the model knows nothing of.
        { "DIV8", "assumed", "as DIV32; no row of V1 tells", ops = 4, latency = 11, ports = "alu p1", unit = "divider",
            occupy = 6 },
        { "DIV16", "assumed", "as DIV32; no row of V1 tells", ops = 4, latency = 11, ports = "alu p1", unit = "divider",
            occupy = 6 },
        { "DIV32", "measured", ROW .. "div32_lat 12.00, of which 1 is an addition; div32_tp 6.00", latency = 11,
            ops = { 4, "llvm", LLVM .. "div of a word" }, ports = { "alu p1", "llvm", LLVM .. "div: port 1" },
            unit = "divider", occupy = 6 },
        { "DIV64", "measured", ROW .. "div64_lat 15.00, of which 1 is an addition; idiv64_lat 16.01", latency = 14,
            ops = { 4, "llvm", LLVM .. "div of a word" }, ports = { "alu p1", "llvm", LLVM .. "div: port 1" },
            unit = "divider", occupy = { 10, "assumed", ASZEN .. "takes the next before the last is done" } },
        { "XCHG", "llvm", LLVM .. "xadd: 3 ops; cmpxchg is 5 ops, 3 cycles", ops = 3, ports = "alu",
            latency = { 1, "measured", ROW .. "xchg_lat 2.27 for two" } },
        { "BRANCH INDIRECT", "measured", ROW .. "jcc_not_taken_tp 0.51", ops = 1, latency = 1, ports = "alu p06" },
        { "CALL CALL_INDIRECT", "llvm", LLVM .. "call: 2 ops, one the store", ops = 1, latency = 1, ports = "alu p06" },
        { "RET", "llvm", LLVM .. "ret: 2 ops, one the load", ops = 1, latency = 1, ports = "alu p06" },
        { "STRING", "assumed", ASZEN .. "load, store, pointers", ops = 3, latency = 1, ports = "alu" },

        -- vector registers
        { "VALU", "measured", ROW .. "paddd_lat 1.00, pxor_tp 0.34", ops = 1, latency = 1, ports = "alu fp" },
        { "VSHIFT", "llvm", LLVM .. "pslld by a constant", ops = 1, latency = 1, ports = "alu fp p01" },
        { "VSHUFFLE", "measured", ROW .. "pshufd_lat, pshufb_lat 1.00", ops = 1, latency = 1,
            ports = { "alu fp p15", "llvm", LLVM .. "pshufd, pshufb" } },
        { "VMUL", "measured", ROW .. "pmuludq_lat 5.00", ops = 1, latency = 5,
            ports = { "alu fp p01", "llvm", LLVM .. "pmuludq" } },
        { "VMASK", "measured", ROW .. "movq_round_lat 4.00 for two; pmovmskb_lat 5.00 for two and a comparison", latency = 2,
            ops = { 1, "llvm", LLVM .. "movq; pextrq and ptest are 2" },
            ports = { "alu fp", "assumed", "port 0 from vectors, port 5 to them: either" } },
        { "VSTRING", "llvm", LLVM .. "pcmpistri", ops = 3, latency = 11, ports = "alu fp p0" },
        { "FADD", "measured", ROW .. "addsd_lat 2.00, addsd_tp 0.50", ops = 1, latency = 2, ports = "alu fp p15" },
        { "FMUL", "measured", ROW .. "mulsd_lat 3.00, mulpd_tp 0.50", ops = 1, latency = 3, ports = "alu fp p01" },
        { "FHADD", "llvm", LLVM .. "haddps", ops = 3, latency = 6, ports = "alu fp p5" },
        { "FCOMPARE", "llvm", LLVM .. "comisd", ops = 1, latency = 3, ports = "alu fp p0" },
        { "FCONVERT", "measured", ROW .. "cvtss2sd_lat 9.99 for two; cvt_round_lat 11.99 for two", latency = 5,
            ops = { 2, "llvm", LLVM .. "cvtss2sd, cvtsi2sd" }, ports = { "alu fp p5", "llvm", LLVM .. "cvtss2sd" } },
        { "FDIV32", "llvm", LLVM .. "divps; the unit as divpd's", ops = 1, latency = 11, ports = "alu fp p0", unit = "fdiv",
            occupy = 3 },
        { "FDIV64", "measured", ROW .. "divsd_lat 14.00, divsd_tp 4.00", ops = 1, latency = 14, ports = "alu fp p0",
            unit = "fdiv", occupy = 4 },
        { "FSQRT32", "llvm", LLVM .. "sqrtps; the unit as sqrtpd's", ops = 1, latency = 12, ports = "alu fp p0",
            unit = "fdiv", occupy = 3 },
        { "FSQRT64", "measured", ROW .. "sqrt_mul_lat 20.99, of which 3 are mulsd", ops = 1, latency = 18,
            ports = "alu fp p0", unit = "fdiv", occupy = { 6, "assumed", "no row of V1 tells" } },

        -- MMX, x87
        { "MMX", "llvm", LLVM .. "paddd of mm registers", ops = 1, latency = 1, ports = "alu fp" },
        { "X87", "llvm", LLVM .. "fadd", ops = 1, latency = 3, ports = "alu fp p5" },
        { "X87_DIV", "llvm", LLVM .. "fdiv; the unit as divpd's", ops = 1, latency = 20, ports = "alu fp p0", unit = "fdiv",
            occupy = 4 },
        { "X87_TRANS", "llvm", LLVM .. "fsin: 100 cycles, LLVM's word for microcode", latency = 100, ports = "alu fp",
            ops = { 31, "assumed", "microcode; the most that the model allows" } },

        -- order
        { "LOCKED", "measured", ROW .. "lock_xadd_lat, lock_add 18.01; xchg_mem 17.00, lock_cmpxchg 19.55", latency = 18,
            ops = { 4, "assumed", ASZEN .. "load, add, store, order" } },
        { "FENCE_LOAD", "assumed", ASZEN .. "it waits for what is before it", ops = 1, latency = 10 },
        { "FENCE_STORE", "llvm", LLVM .. "sfence", ops = 2, latency = 2, ports = "store" },
        { "FENCE", "measured", ROW .. "mfence 45.21 with a store before it, as 43 become 45.06", ops = 1, latency = 43 },
        { "PAUSE", "assumed", "of the order said of Skylake and later", ops = 1, latency = 140 },

        -- the system
        { "TIME", "measured", ROW .. "rdtsc 29.00", ops = 1, latency = 29 },
        { "RANDOM", "assumed", ASZEN .. "a third of a microsecond and more", ops = 1, latency = 1200 },
        { "FSBASE", "assumed", ASZEN .. "some cycles", ops = 1, latency = 10 },
        { "PUSH_ALL", "assumed", ASZEN .. "microcode", ops = 8, latency = 10 },
        { "FPSTATE", "assumed", ASZEN .. "512 bytes and more", ops = 31, latency = 100 },
        { "CPUID", "assumed", ASZEN .. "microcode; here a hypervisor answers", ops = 31, latency = 100 },
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
