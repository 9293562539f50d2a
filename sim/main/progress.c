/* The progress line: written after some millions of instructions, so that runs which end at once stay silent. */

#define _POSIX_C_SOURCE 200809L

#include "main/progress.h"

#include <stdio.h>
#include <unistd.h>

#define INSTRUCTIONS_A_LINE UINT64_C(10000000)
#define TO_LINE_START       "\r\033[K" /* ECMA-48: carriage return, erase in line */

bool progress_wanted(bool console_on_stdout, uint32_t trace)
{
    return isatty(STDERR_FILENO) && trace == 0 && !(console_on_stdout && isatty(STDOUT_FILENO));
}

void progress_show(void *line, const struct sim *s, bool running)
{
    struct progress_line *p = line;
    uint64_t instructions = sim_instructions(s);
    if (!running && p->on_screen) {
        fputs(TO_LINE_START, stderr);
        p->on_screen = false;
    } else if (running && instructions - p->instructions >= INSTRUCTIONS_A_LINE) {
        p->instructions = instructions;
        p->on_screen = true;
        uint64_t microseconds = sim_cycles(s) / (SIM_TSC_HZ / 1000000);
        fprintf(stderr, TO_LINE_START "%llu.%03llu ms simulated, %llu million instructions",
                (unsigned long long)(microseconds / 1000), (unsigned long long)(microseconds % 1000),
                (unsigned long long)(instructions / 1000000));
    }
    fflush(stderr);
}
