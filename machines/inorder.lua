-- inorder: a machine to be checked by hand. One operation starts in a cycle, in program order; caches and tables are small
-- enough to be drawn. It is no real machine: all of it is chosen, in round numbers. docs/timing.md says what each name
-- means, docs/machines.md how this table is written.

-- Where a number is one of a choice that has a name of its own.
local flat = "as the flat machine charges (sim/timing/cost.def)"
local one_start = "chosen: one operation starts in a cycle, whatever it is"
local no_stage = "chosen: dispatched like all others, and done at once"
local simple = "chosen: an adder's work is one cycle"
local system = "chosen: 50 cycles for what changes the state of the processor"

return {
    name = "inorder",
    about = "single issue, in order, small caches: for checking by hand",

    parameters = {
        -- the core
        dispatch_width = { 1, "assumed", one_start },
        retire_width = { 1, "assumed", "chosen: as many as are dispatched" },
        reorder_buffer = { 8, "assumed", "chosen: operations that wait for a load, drawn in a row of eight" },
        load_queue = { 4, "assumed", "chosen: half of the operations" },
        store_queue = { 16, "assumed", "chosen: the least that the model allows (sim/timing/params.def)" },
        in_order = { 1, "assumed", "chosen: what this machine is for" },

        -- the front end and prediction
        mispredict_cycles = { 4, "assumed", "chosen: four stages before execution are refilled" },
        decode_redirect_cycles = { 2, "assumed", "chosen: two of them lie before the end of decoding" },
        taken_bubble_cycles = { 1, "assumed", "chosen: one cycle to the next address" },
        base_bits = { 4, "assumed", "chosen: 16 counters" },
        tagged_bits = { 4, "assumed", "chosen: 16 entries a table" },
        history_1 = { 4, "assumed", "chosen: half of the longer one" },
        history_2 = { 8, "assumed", "chosen: eight branches" },
        btb_bits = { 4, "assumed", "chosen: 16 targets" },
        indirect_bits = { 4, "assumed", "chosen: 16 targets" },
        return_stack = { 4, "assumed", "chosen: four calls" },

        -- loads and stores
        l1_load_cycles = { 2, "assumed", "chosen: a cycle for the address, a cycle for the data" },
        vector_load_cycles = { 0, "assumed", "chosen: as other loads" },
        split_cycles = { 2, "assumed", "chosen: a second load" },
        forward_cycles = { 2, "assumed", "chosen: as a load that L1 has" },
        forward_renamed_cycles = { 0, "assumed", "chosen: no renaming of memory" },
        forward_fail_cycles = { 4, "assumed", "chosen: two loads more" },
        store_gap = { 1, "assumed", "chosen: a cycle between two lines" },
        store_prefetch = { 0, "assumed", "chosen: a store asks for its line when it drains" },

        -- translation
        dtlb_entries = { 8, "assumed", "chosen: eight pages" },
        itlb_entries = { 8, "assumed", "chosen: eight pages" },
        tlb_l2_cycles = { 5, "assumed", "chosen: half of what L2 takes" },
        walk_cycles = { 5, "assumed", "chosen: as the second level of the TLB" },
        ad_update_cycles = { 20, "assumed", "chosen: as a locked operation" },

        -- caches
        l1i_sets = { 16, "assumed", "chosen: 4 KiB, so that set is bits 6 to 9 of the address" },
        l1i_ways = { 4, "assumed", "chosen: a tree of three bits" },
        l1d_sets = { 16, "assumed", "chosen: 4 KiB, so that set is bits 6 to 9 of the address" },
        l1d_ways = { 4, "assumed", "chosen: a tree of three bits" },
        l2_sets = { 128, "assumed", "chosen: 32 KiB, eight times L1D" },
        l2_ways = { 4, "assumed", "chosen: as L1D" },
        l3_sets = { 1024, "assumed", "chosen: 512 KiB, 16 times L2" },
        l3_ways = { 8, "assumed", "chosen: twice those of L2" },
        l2_cycles = { 10, "assumed", "chosen: five times L1" },
        l3_cycles = { 30, "assumed", "chosen: three times L2" },
        cache_to_cache_cycles = { 60, "assumed", "chosen: twice L3: there and back" },
        snoop_cycles = { 30, "assumed", "chosen: as L3: there" },

        -- memory: 30 + 30 + 10 = 70 cycles with the row open, 100 with none, 130 with another
        dram_channels = { 1, "assumed", "chosen: one" },
        dram_banks = { 4, "assumed", "chosen: four" },
        dram_row_lines = { 16, "assumed", "chosen: rows of 1 KiB" },
        dram_cas_cycles = { 30, "assumed", "chosen: 10 ns" },
        dram_activate_cycles = { 30, "assumed", "chosen: 10 ns" },
        dram_precharge_cycles = { 30, "assumed", "chosen: 10 ns" },
        dram_burst_cycles = { 10, "assumed", "chosen: 64 bytes in 3.3 ns, 19 GB/s" },
        dram_fabric_cycles = { 0, "assumed", "chosen: the controller is beside L3" },

        -- the system
        exception_cycles = { 60, "assumed", "as the flat machine charges (sim/timing/cost.c)" },
        interrupt_cycles = { 60, "assumed", "as the flat machine charges (sim/timing/cost.c)" },
        mmio_cycles = { 200, "assumed", "chosen: as a port" },
        wake_cycles = { 50, "assumed", system },
        ipi_cycles = { 300, "assumed", "100 ns: the order of magnitude, no figure of a processor" },
        ioapic_cycles = { 300, "assumed", "100 ns: the order of magnitude, no figure of a processor" },
        rep_start_cycles = { 4, "assumed", "chosen: as a misprediction" },
        string_chunk_bytes = { 1, "assumed", "chosen: every iteration pays" },
    },

    ports = {
        pipe = { 1, "assumed", one_start },
    },
    load_ports = { "pipe", "assumed", one_start },
    store_ports = { "pipe", "assumed", one_start },

    -- Rows: the names of classes, tag and source of the row's values.
    classes = {
        { "NOP ZERO MOVE VMOVE LOAD STORE VLOAD VSTORE", "assumed", no_stage, ops = 1 },

        -- general registers
        { "ALU LEA LEA_SLOW SHIFT ROTATE_CARRY SHIFT_DOUBLE BIT SCAN COUNT XCHG", "assumed", simple,
            ops = 1, latency = 1, ports = "pipe" },
        { "DEPOSIT MUL MUL_WIDE", "assumed", "chosen: three cycles, one begins in each",
            ops = 1, latency = 3, ports = "pipe" },
        { "DIV8 DIV16 DIV32 DIV64", "assumed", "chosen: 20 cycles, in which the divider is taken",
            ops = 1, latency = 20, ports = "pipe", unit = "divider", occupy = 20 },
        { "BRANCH INDIRECT CALL CALL_INDIRECT RET", "assumed", simple, ops = 1, latency = 1, ports = "pipe" },
        { "STRING", "assumed", simple, ops = 1, latency = 1, ports = "pipe" },

        -- vector registers, x87
        { "VALU VSHIFT VSHUFFLE VMASK MMX", "assumed", simple, ops = 1, latency = 1, ports = "pipe" },
        { "VMUL", "assumed", "chosen: as MUL", ops = 1, latency = 3, ports = "pipe" },
        { "VSTRING FADD FMUL FHADD FCOMPARE FCONVERT X87", "assumed", flat, ops = 1, latency = 4, ports = "pipe" },
        { "FDIV32 FDIV64 FSQRT32 FSQRT64 X87_DIV", "assumed", "chosen: as DIV64, in the same divider",
            ops = 1, latency = 20, ports = "pipe", unit = "divider", occupy = 20 },
        { "X87_TRANS", "assumed", flat, ops = 1, latency = 100, ports = "pipe" },

        -- order, system
        { "LOCKED", "assumed", flat, ops = 1, latency = 20 },
        { "FENCE_STORE", "assumed", simple, ops = 1, latency = 1, ports = "pipe" },
        { "FENCE_LOAD FENCE", "assumed", flat, ops = 1, latency = 30 },
        { "PAUSE FLAGS FSBASE", "assumed", flat, ops = 1, latency = 1 },
        { "PUSH_ALL", "assumed", flat, ops = 1, latency = 2 },
        { "TIME RANDOM", "assumed", flat, ops = 1, latency = 35 },
        { "SYSCALL SYSRET IRET FAR", "assumed", flat, ops = 1, latency = 40 },
        { "CR3 CR3_KEEP MSR POPF SWAPGS INVLPG HALT SYSTEM", "assumed", system, ops = 1, latency = 50 },
        { "CPUID FPSTATE", "assumed", flat, ops = 1, latency = 100 },
        { "IO", "assumed", flat, ops = 1, latency = 200 },
    },
}
