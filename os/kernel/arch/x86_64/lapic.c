/*
 * Local APIC. Source: AMD64 APM volume 2, "Advanced Programmable Interrupt Controller (APIC)" and "x2APIC
 * Support"; Intel SDM volume 3A, "TSC-Deadline Mode". Deviations: physical destination mode only; error
 * interrupts stay masked.
 */
#include "arch/x86_64/lapic.h"

#include "arch/arch.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/vectors.h"
#include "types.h"

#define LAPIC_ID            0x020u
#define LAPIC_TPR           0x080u
#define LAPIC_EOI           0x0b0u
#define LAPIC_SVR           0x0f0u
#define LAPIC_ICR_LO        0x300u
#define LAPIC_ICR_HI        0x310u
#define LAPIC_LVT_TIMER     0x320u
#define LAPIC_LVT_THERMAL   0x330u
#define LAPIC_LVT_PERF      0x340u
#define LAPIC_LVT_LINT0     0x350u
#define LAPIC_LVT_LINT1     0x360u
#define LAPIC_LVT_ERROR     0x370u
#define LAPIC_TIMER_INITIAL 0x380u
#define LAPIC_TIMER_CURRENT 0x390u
#define LAPIC_TIMER_DIVIDE  0x3e0u

#define APIC_BASE_ENABLE (1ull << 11)
#define APIC_BASE_X2     (1ull << 10)
#define SVR_ENABLE       0x100u
#define LVT_MASKED       0x10000u
#define LVT_NMI          0x400u
#define LVT_TSC_DEADLINE 0x40000u
#define DIVIDE_BY_1      0xbu
#define ICR_PENDING      0x1000u
#define ICR_ASSERT       0x4000u
#define ICR_NMI          0x400u
#define ICR_INIT         0x500u
#define ICR_STARTUP      0x600u
#define ICR_POLLS        1000u
#define MSR_X2APIC_BASE  0x800u

static volatile uint32_t *registers; /* null in x2APIC mode */

static uint32_t reg_read(uint32_t offset)
{
    if (registers == NULL) {
        return (uint32_t)msr_read(MSR_X2APIC_BASE + offset / 16);
    }
    return registers[offset / 4];
}

static void reg_write(uint32_t offset, uint32_t value)
{
    if (registers == NULL) {
        msr_write(MSR_X2APIC_BASE + offset / 16, value);
    } else {
        registers[offset / 4] = value;
    }
}

status_t lapic_init(uint64_t physical_address)
{
    if (features()->x2apic) {
        return STATUS_OK;
    }
    void *window;
    status_t status = kmap_device(paddr_make(physical_address), PAGE_SIZE, &window);
    registers = status == STATUS_OK ? window : NULL;
    return status;
}

void lapic_enable_on_this_cpu(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    msr_write(MSR_APIC_BASE, base);
    if (features()->x2apic) {
        msr_write(MSR_APIC_BASE, base | APIC_BASE_X2);
    }
    reg_write(LAPIC_TPR, 0);
    reg_write(LAPIC_LVT_TIMER, LVT_MASKED);
    reg_write(LAPIC_LVT_LINT0, LVT_MASKED);
    reg_write(LAPIC_LVT_LINT1, LVT_NMI);
    reg_write(LAPIC_LVT_ERROR, LVT_MASKED);
    reg_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    reg_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
}

uint32_t lapic_id(void)
{
    uint32_t id = reg_read(LAPIC_ID);
    return registers == NULL ? id : id >> 24;
}

void lapic_end_of_interrupt(void)
{
    reg_write(LAPIC_EOI, 0);
}

/* WRMSR to an APIC register or a deadline does not serialise: MFENCE waits for the stores, LFENCE keeps WRMSR back. */
static void fence_before_msr(void)
{
    __asm__ volatile("mfence\n\tlfence" : : : "memory");
}

static void icr_send(uint32_t apic_id, uint32_t low)
{
    if (registers == NULL) {
        fence_before_msr(); /* what the target will read must be visible before the interrupt */
        msr_write(MSR_X2APIC_BASE + LAPIC_ICR_LO / 16, ((uint64_t)apic_id << 32) | low);
        return;
    }
    uint64_t flags = arch_irq_save();
    while (reg_read(LAPIC_ICR_LO) & ICR_PENDING) {
        arch_pause();
    }
    reg_write(LAPIC_ICR_HI, apic_id << 24);
    reg_write(LAPIC_ICR_LO, low);
    arch_irq_restore(flags);
}

void lapic_send(uint32_t apic_id, uint8_t vector)
{
    icr_send(apic_id, ICR_ASSERT | vector);
}

/* In the mode the kernel uses, and enabled? */
static bool enabled_on_this_cpu(void)
{
    uint64_t wanted = APIC_BASE_ENABLE | (registers == NULL ? APIC_BASE_X2 : 0);
    return (msr_read(MSR_APIC_BASE) & wanted) == wanted;
}

void lapic_send_nmi(uint32_t apic_id)
{
    if (!enabled_on_this_cpu()) {
        lapic_enable_on_this_cpu();
    }
    if (registers == NULL) {
        icr_send(apic_id, ICR_ASSERT | ICR_NMI);
        return;
    }
    for (unsigned i = 0; i < ICR_POLLS && (reg_read(LAPIC_ICR_LO) & ICR_PENDING); i++) {
        __asm__ volatile("pause");
    }
    reg_write(LAPIC_ICR_HI, apic_id << 24);
    reg_write(LAPIC_ICR_LO, ICR_ASSERT | ICR_NMI);
}

void lapic_send_init(uint32_t apic_id)
{
    icr_send(apic_id, ICR_ASSERT | ICR_INIT);
}

void lapic_send_startup(uint32_t apic_id, uint8_t page)
{
    icr_send(apic_id, ICR_ASSERT | ICR_STARTUP | page);
}

void lapic_timer_use_count(void)
{
    reg_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
}

void lapic_timer_use_deadline(void)
{
    reg_write(LAPIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
    fence_before_msr(); /* the mode must be set before the first deadline */
}

void lapic_timer_start(uint32_t count)
{
    reg_write(LAPIC_TIMER_INITIAL, count);
}

uint32_t lapic_timer_current(void)
{
    return reg_read(LAPIC_TIMER_CURRENT);
}
