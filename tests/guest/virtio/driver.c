/*
 * The driver: mapping of the windows, interrupts through the I/O APIC, registers, rings. start.S of the benchmark guest has
 * mapped everything below 128 MiB one to one, and filled the interrupt table.
 */
#include "driver.h"

#include "bench.h"

#define IOAPIC        0xfec00000u
#define IOAPIC_WINDOW 0x10u
#define IOAPIC_RTE    0x10u
#define RTE_LEVEL     0x8000u
#define APIC_EOI      0xb0u
#define APIC_SVR      0xf0u
#define APIC_ENABLE   0x100u
#define FIRST_PIN     16u

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u

#define VECTOR         0x50u
#define GATE_INTERRUPT 0x8e00u /* present, 64 bits */
#define CODE64         0x08u

#define PAGE_2M_UNCACHED 0x9bu /* present, writable, PCD, PWT, large */
#define PAGE_2M          0x200000u

static volatile uint32_t *word_at(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

uint32_t reg_read(const struct device *d, uint32_t offset)
{
    return *word_at(d->base + offset);
}

void reg_write(const struct device *d, uint32_t offset, uint32_t value)
{
    *word_at(d->base + offset) = value;
}

/* Enters a 2 MiB page of device memory in the page directory of the fourth GiB, which start.S made. */
static void map_device(uint32_t address)
{
    uint64_t cr3;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    uint64_t *pml4 = (uint64_t *)cr3;
    uint64_t *pdpt = (uint64_t *)(pml4[0] & ~UINT64_C(0xfff));
    uint64_t *directory = (uint64_t *)(pdpt[3] & ~UINT64_C(0xfff));
    uint32_t page = address & ~(PAGE_2M - 1);
    directory[page >> 21 & 511] = page | PAGE_2M_UNCACHED;
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

/* The device whose pin is routed, what it has told in its interrupts, and how many there were. */
static const struct device *routed;
static volatile uint32_t interrupt_status;
static volatile unsigned interrupts;

struct interrupt_frame;

/* The device lowers its line before the interrupt ends: it is level-triggered. */
__attribute__((interrupt)) static void handle(struct interrupt_frame *frame)
{
    (void)frame;
    uint32_t status = reg_read(routed, REG_INTERRUPT_STATUS);
    reg_write(routed, REG_INTERRUPT_ACK, status);
    interrupt_status |= status;
    interrupts++;
    *word_at(APIC_BASE + APIC_EOI) = 0;
}

static void set_gate(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint32_t *gates; /* of four words */
    } table;
    __asm__ volatile("sidt %0" : "=m"(table));
    uint32_t entry = (uint32_t)(uintptr_t)handle;
    table.gates[4 * VECTOR] = (entry & 0xffff) | CODE64 << 16;
    table.gates[4 * VECTOR + 1] = (entry & 0xffff0000) | GATE_INTERRUPT;
}

static void ioapic_write(uint32_t number, uint32_t value)
{
    *word_at(IOAPIC) = number;
    *word_at(IOAPIC + IOAPIC_WINDOW) = value;
}

void driver_init(void)
{
    map_device(WINDOW);
    map_device(IOAPIC);
    set_gate();
    *word_at(APIC_BASE + APIC_SVR) = APIC_ENABLE | SPURIOUS_VECTOR;
}

bool device_find(struct device *d, uint32_t id, unsigned n)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        d->base = WINDOW + slot * STRIDE;
        if (reg_read(d, 0) == MAGIC && reg_read(d, REG_VERSION) == 2 && reg_read(d, REG_ID) == id &&
            n-- == 0) {
            d->pin = FIRST_PIN + slot;
            ioapic_write(IOAPIC_RTE + 2 * d->pin + 1, 0); /* to the first processor */
            ioapic_write(IOAPIC_RTE + 2 * d->pin, VECTOR | RTE_LEVEL);
            routed = d;
            return true;
        }
    }
    return false;
}

uint64_t device_features(const struct device *d)
{
    reg_write(d, REG_FEATURES_SEL, 1);
    uint64_t high = reg_read(d, REG_FEATURES);
    reg_write(d, REG_FEATURES_SEL, 0);
    return high << 32 | reg_read(d, REG_FEATURES);
}

static void set_address(const struct device *d, uint32_t offset, const volatile void *p)
{
    reg_write(d, offset, (uint32_t)(uintptr_t)p);
    reg_write(d, offset + 4, (uint32_t)((uint64_t)(uintptr_t)p >> 32));
}

bool device_start(struct device *d, uint64_t features)
{
    const uint32_t begun = STATUS_ACKNOWLEDGE | STATUS_DRIVER, agreed = begun | STATUS_FEATURES_OK;
    reg_write(d, REG_STATUS, 0);
    reg_write(d, REG_STATUS, STATUS_ACKNOWLEDGE);
    reg_write(d, REG_STATUS, begun);
    reg_write(d, REG_DRIVER_SEL, 1);
    reg_write(d, REG_DRIVER, (uint32_t)(features >> 32));
    reg_write(d, REG_DRIVER_SEL, 0);
    reg_write(d, REG_DRIVER, (uint32_t)features);
    reg_write(d, REG_STATUS, agreed);
    if (reg_read(d, REG_STATUS) != agreed) {
        return false;
    }
    d->avail.flags = d->avail.idx = d->used.flags = d->used.idx = 0;
    reg_write(d, REG_QUEUE_SEL, 0);
    reg_write(d, REG_QUEUE_NUM, QUEUE);
    set_address(d, REG_DESC, d->desc);
    set_address(d, REG_AVAIL, &d->avail);
    set_address(d, REG_USED, &d->used);
    reg_write(d, REG_QUEUE_READY, 1);
    reg_write(d, REG_STATUS, agreed | STATUS_DRIVER_OK);
    return true;
}

void device_describe(struct device *d, unsigned n, const volatile void *p, uint32_t size, uint16_t flags,
                     uint16_t next)
{
    d->desc[n].address = (uintptr_t)p;
    d->desc[n].size = size;
    d->desc[n].flags = flags;
    d->desc[n].next = next;
}

void device_offer(struct device *d)
{
    d->avail.ring[d->avail.idx % QUEUE] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    d->avail.idx++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    reg_write(d, REG_NOTIFY, 0);
}

uint32_t driver_wait(void)
{
    while (interrupt_status == 0) {
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    }
    uint32_t status = interrupt_status;
    interrupt_status = 0;
    return status;
}

unsigned driver_interrupts(void)
{
    return interrupts;
}

uint32_t device_written(const struct device *d)
{
    return d->used.ring[(uint16_t)(d->used.idx - 1) % QUEUE].size;
}
