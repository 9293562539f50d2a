#ifndef TESTS_SUPPORT_RUN_ALONE_H
#define TESTS_SUPPORT_RUN_ALONE_H

/* Runs a vCPU that is the whole machine: cpu_run, with the stores drained that fall due on the way. */

#include "cpu/cpu.h"
#include "cpu/mem.h"

static inline enum cpu_stop run_alone(struct cpu *cpu, uint64_t deadline_cycles)
{
    enum cpu_stop stop;
    do {
        mem_drain_due(cpu, cpu_now(cpu));
        stop = cpu_run(cpu, deadline_cycles);
    } while (stop == CPU_STOP_DEADLINE && cpu_now(cpu) < deadline_cycles);
    return stop;
}

#endif
