/*
 * The CPU, for the loader: its number, the jump into the kernel, the end without a firmware's console. Source: AMD64
 * APM volume 3, "CPUID"; 16550 data sheet (line status, transmitter). Deviations: none.
 */
#include "uefi/loader.h"

#define COM1           0x3f8u
#define LINE_STATUS    (COM1 + 5)
#define TRANSMIT_EMPTY 0x20u
#define TRANSMIT_POLLS 100000u

uint32_t cpu_apic_id(void)
{
    uint32_t eax = 1;
    uint32_t ebx;
    uint32_t ecx = 0;
    uint32_t edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx >> 24;
}

_Noreturn void cpu_enter_kernel(uint64_t entry, uint64_t block)
{
    __asm__ volatile("cli\n\tjmp *%0" : : "a"(entry), "D"(block) : "memory");
    __builtin_unreachable();
}

static void put(char c)
{
    uint8_t status = 0;
    for (unsigned i = 0; i < TRANSMIT_POLLS && !(status & TRANSMIT_EMPTY); i++) {
        __asm__ volatile("inb %w1, %b0" : "=a"(status) : "Nd"(LINE_STATUS));
    }
    __asm__ volatile("outb %b0, %w1" : : "a"(c), "Nd"(COM1));
}

_Noreturn void cpu_die(const char *text)
{
    while (*text != '\0') {
        put(*text++);
    }
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}
