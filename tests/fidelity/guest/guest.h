#ifndef GUEST_H
#define GUEST_H

/* What start.S and guest.c share. The guest lies below LOW_END, mapped one to one; all memory is also at DIRECT_MAP. */

#define LOW_END    0x01000000
#define DIRECT_MAP 0xffff800000000000
#define CODE64     0x08
#define DATA       0x10
#define USER_DATA  0x1b
#define USER_CODE  0x23
#define TASK_STATE 0x28
#define PRESENT    0x1
#define WRITABLE   0x2
#define USER       0x4
#define LARGE      0x80

#define VECTOR_PAGE_FAULT 14
#define VECTOR_FINISHED   0x80

#ifndef __ASSEMBLER__
#include <stdint.h>

/* What the stubs of start.S have pushed. */
struct trap {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct start_info; /* struct hvm_start_info of the PVH boot protocol */

/* In start.S */
extern uint64_t top_table[512];
void enter_user(uint64_t rip, uint64_t rsp, uint64_t first, uint64_t second); /* until VECTOR_FINISHED */

/* In guest.c */
void guest_main(const struct start_info *info);
void guest_trap(struct trap *t);
#endif

#endif
