/* The busy guest. GDT at 0x300000, IDT at 0x301000, TSS at 0x302000, page directory at 0x305000, counters at 0x303000;
 * application processors start at 0x8000, with counters at 0x7f00. */

#include "guest_busy.h"

#include "guest_image.h"

#define HERE(label) "0x200000 + " #label " - busy_code"

extern const uint8_t busy_user[], busy_user_end[];

GUEST_CODE(
    busy_code,
    ".code32\n movl $0x310000, %esp\n"
    /* the start of the application processors, and their vector 0x50 */
    " movl $" HERE(
        busy_ap) ", %esi\n movl $0x8000, %edi\n movl $busy_ap_end - busy_ap, %ecx\n rep movsb\n"
                 " movl $0x8000 + busy_ap_isr - busy_ap, 0x140\n"
                 /* GDT: code, data, user code, user data, TSS */
                 " movl $0xffff, 0x300008\n movl $0xcf9a00, 0x30000c\n movl $0xffff, 0x300010\n movl "
                 "$0xcf9200, 0x300014\n"
                 " movl $0xffff, 0x300018\n movl $0xcffa00, 0x30001c\n movl $0xffff, 0x300020\n movl "
                 "$0xcff200, 0x300024\n"
                 " movl $0x20000067, 0x300028\n movl $0x8930, 0x30002c\n"
                 " movw $0x2f, 0x300100\n movl $0x300000, 0x300102\n lgdt 0x300100\n ljmp $8, $" HERE(
                     1f) "\n"
                         "1: movl $0x10, %eax\n movl %eax, %ss\n movl $0x23, %eax\n movl %eax, %ds\n movl "
                         "%eax, %es\n"
                         " movl $0x310000, 0x302004\n movl $0x10, 0x302008\n movw $0x68, 0x302066\n movl "
                         "$0x28, %eax\n ltr %ax\n"
                         /* IDT: timer at 0x40, system call at 0x80 */
                         " movl $" HERE(
                             busy_timer) ", %eax\n movl $0x301000 + 8 * 0x40, %edi\n movl $0x8e00, %edx\n "
                                         "call busy_gate\n"
                                         " movl $" HERE(
                                             busy_call) ", %eax\n movl $0x301000 + 8 * 0x80, %edi\n movl "
                                                        "$0xee00, %edx\n call busy_gate\n"
                                                        " movw $0x7ff, 0x300110\n movl $0x301000, 0x300112\n "
                                                        "lidt 0x300110\n"
                                                        /* paging: 4 MiB pages, everything for everyone */
                                                        " movl $0x305000, %edi\n movl %edi, %cr3\n movl "
                                                        "$0x87, %eax\n movl $1024, %ecx\n"
                                                        "1: stosl\n addl $0x400000, %eax\n loop 1b\n"
                                                        " movl %cr4, %eax\n orl $0x10, %eax\n movl %eax, "
                                                        "%cr4\n movl %cr0, %eax\n orl $0x80000000, %eax\n"
                                                        " movl %eax, %cr0\n"
                                                        /* local APIC, the others, the timer */
                                                        " movl $0x1ff, 0xfee000f0\n movl $0xc4500, "
                                                        "0xfee00300\n movl $1000, %ecx\n1: loop 1b\n"
                                                        " movl $0xc4608, 0xfee00300\n movl $1000, %ecx\n1: "
                                                        "loop 1b\n"
                                                        " movl $0xb, 0xfee003e0\n movl $0x20040, "
                                                        "0xfee00320\n movl $700, 0xfee00380\n"
                                                        " pushl $0x23\n pushl $0x320000\n pushl $0x202\n "
                                                        "pushl $0x1b\n pushl $" HERE(
                                                            busy_user) "\n iret\n"
                                                                       "busy_gate: movw %ax, (%edi)\n movw "
                                                                       "$8, 2(%edi)\n movw %dx, 4(%edi)\n "
                                                                       "shrl $16, %eax\n movw %ax, 6(%edi)\n "
                                                                       "ret\n"
                                                                       "busy_timer: incl 0x303000\n movl $0, "
                                                                       "0xfee000b0\n iret\n"
                                                                       "busy_call: pushal\n incl 0x303004\n "
                                                                       "movl $0x304000, %edi\n movl $900, "
                                                                       "%ecx\n rep stosb\n"
                                                                       " movl $0xc4050, 0xfee00300\n testl "
                                                                       "$3, 0x303004\n jnz 1f\n sti\n hlt\n "
                                                                       "cli\n1: popal\n iret\n"
                                                                       "busy_user: movl $64, %ecx\n1: movl "
                                                                       "%ecx, 0x306000(,%ecx,4)\n addl %ecx, "
                                                                       "0x303008\n loop 1b\n"
                                                                       " movl $0x306000, %esi\n movl "
                                                                       "$0x307000, %edi\n movl $200, %ecx\n "
                                                                       "rep movsb\n int $0x80\n jmp "
                                                                       "busy_user\n"
                                                                       "busy_user_end:\n"
                                                                       ".code16\nbusy_ap: cli\n xorw %ax, "
                                                                       "%ax\n movw %ax, %ds\n movw %ax, "
                                                                       "%es\n movw %ax, %ss\n"
                                                                       " movw $0x100, %bp\n lock xaddw %bp, "
                                                                       "0x7f00\n leaw 0x6100(%bp), %sp\n"
                                                                       " movl $0x1b, %ecx\n rdmsr\n orl "
                                                                       "$0xc00, %eax\n wrmsr\n"
                                                                       " movl $0x80f, %ecx\n movl $0x1ff, "
                                                                       "%eax\n xorl %edx, %edx\n wrmsr\n "
                                                                       "sti\n"
                                                                       "1: lock incl 0x7f10\n leaw "
                                                                       "0x5000(%bp), %di\n movw $50, %cx\n "
                                                                       "rep stosb\n incw 0x5080(%bp)\n"
                                                                       " testb $7, 0x5080(%bp)\n jnz 1b\n "
                                                                       "hlt\n jmp 1b\n"
                                                                       "busy_ap_isr: pushal\n incl 0x7f14\n "
                                                                       "movl $0x80b, %ecx\n xorl %eax, "
                                                                       "%eax\n xorl %edx, %edx\n wrmsr\n "
                                                                       "popal\n"
                                                                       " iret\nbusy_ap_end:\n.code64");

struct sim *guest_busy_create(const struct sim_config *c)
{
    return guest_create(c, busy_code, busy_code_end);
}

uint8_t *guest_busy_image(size_t *bytes)
{
    return guest_image(busy_code, busy_code_end, bytes);
}

void guest_busy_user(uint64_t *first, uint64_t *last)
{
    *first = GUEST_BASE + (uint64_t)(busy_user - busy_code);
    *last = GUEST_BASE + (uint64_t)(busy_user_end - busy_code) - 1;
}
