#ifndef BENCH_H
#define BENCH_H

/* What start.S and bench.c share. Everything lies below 128 MiB, mapped one to one in pages of 2 MiB. */

#define WINDOW_BASE     0x8000000000 /* 512 GiB: one page table of 4 KiB pages, for the page-mapping loop */
#define WINDOW_PAGES    512
#define LARGE_PAGE      0x200000
#define VCPUS_MAX       4
#define OWN_PAGES       15        /* of 2 MiB, that each vCPU has for itself: the loops with their memory */
#define SHARED_BASE     0x7e00000 /* the last page of 2 MiB: the same for all */
#define APIC_BASE       0xfee00000
#define TIMER_VECTOR    0x40
#define INT_VECTOR      0x80
#define SPURIOUS_VECTOR 0xff

#ifndef __ASSEMBLER__
#include <stdint.h>

struct start_info; /* struct hvm_start_info of the PVH boot protocol */

/* In start.S */
extern uint64_t window_table[WINDOW_PAGES];
extern volatile uint64_t interrupts_taken; /* counted by the handler of INT_VECTOR and that of TIMER_VECTOR */
extern unsigned char patched_function[];   /* mov $imm32, %eax; ret; on a page of its own */

extern unsigned char trampoline[], trampoline_end[], bss_end[];
extern uint64_t other_tables[VCPUS_MAX - 1][3][512];
extern uint64_t pd_apic[512];

/* In bench.c; called in 64-bit mode, does not return. */
void bench_main(const struct start_info *info);
void bench_other(uint32_t number); /* one of those that were started; the first is number 0 */
void bench_fault(uint64_t vector, uint64_t top_of_frame); /* RIP or the error code, by vector */
#endif

#endif
