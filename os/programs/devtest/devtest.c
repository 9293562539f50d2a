/*
 * devtest: memory of devices, memory for DMA and interrupt inputs as capabilities, good and bad. No device is needed: the page
 * that is mapped belongs to virtio windows, to none of which anything is said. What was once memory for DMA stays that
 * (dma_create), so the frames after this program are fewer than before it by as many as it says.
 */
#include "lib/tap.h"

#define PAGE       4096u
#define WINDOWS    0xfeb00000ull /* of virtio devices, or of nothing; of no map */
#define IO_APIC    0xfec00000ull
#define LOCAL_APIC 0xfee00000ull
#define RAM        0x100000ull
#define PAGE_FAULT (STATUS_KILLED_BASE + 14)
#define READ_WRITE (PROTECT_READ | PROTECT_WRITE)
#define RUN        (3ull * PAGE)

static handle_t device;
static volatile uint32_t *registers;

static bool map_device(unsigned protection)
{
    int64_t at = sys_device_map(device, 0, PAGE, 0, protection);
    registers = (volatile uint32_t *)(uint64_t)at;
    return at > 0;
}

static void read_it(void)
{
    (void)registers[0];
}

static void write_it(void)
{
    registers[0x30 / 4] = 0; /* QueueSel */
}

static int without_the_right(void)
{
    uint64_t physical = 0;
    if (sys_cap_delete(CAP_HARDWARE) != STATUS_OK) {
        return 1;
    }
    bool refused = sys_device_create(WINDOWS, PAGE) == STATUS_ERR_CAP_INVALID &&
                   sys_dma_create(PAGE, &physical) == STATUS_ERR_CAP_INVALID &&
                   sys_gsi_create(16, 0) == STATUS_ERR_CAP_INVALID && physical == 0;
    return refused ? 0 : 2;
}

/* covers: CP-15 (hardware: MMIO) */
static bool test_who_has_no_hardware_gets_none(void)
{
    return tap_status(tap_child(without_the_right)) == 0;
}

/* covers: CP-15 (hardware: MMIO), NX-02 (mediated) */
static bool test_memory_and_the_kernels_devices_are_no_devices(void)
{
    EXPECT(sys_device_create(RAM, PAGE) == STATUS_ERR_PERMISSION);
    EXPECT(sys_device_create(0, PAGE) == STATUS_ERR_PERMISSION);
    EXPECT(sys_device_create(IO_APIC, PAGE) == STATUS_ERR_PERMISSION);
    EXPECT(sys_device_create(LOCAL_APIC, PAGE) == STATUS_ERR_PERMISSION);
    EXPECT(sys_device_create(LOCAL_APIC + 0xff000, PAGE) ==
           STATUS_ERR_PERMISSION); /* writes are interrupts */
    EXPECT(sys_device_create(WINDOWS, IO_APIC - WINDOWS + PAGE) ==
           STATUS_ERR_PERMISSION); /* reaches into one */
    EXPECT(sys_device_create(WINDOWS + 512, PAGE) == STATUS_ERR_UNALIGNED);
    EXPECT(sys_device_create(WINDOWS, 512) == STATUS_ERR_UNALIGNED);
    EXPECT(sys_device_create(WINDOWS, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_device_create(1ull << 52, PAGE) == STATUS_ERR_RANGE);
    EXPECT(sys_device_create(UINT64_MAX - PAGE + 1, PAGE) == STATUS_ERR_RANGE);
    EXPECT(sys_device_create(WINDOWS, 1ull << 63) == STATUS_ERR_RANGE);
    EXPECT(sys_device_create(1ull << 35, REGION_MAX_BYTES + PAGE) == STATUS_ERR_RANGE);
    return true;
}

/* covers: CP-15 (hardware: MMIO), CP-06 (device memory) */
static bool test_a_mapping_allows_what_the_capability_does(void)
{
    device = (handle_t)sys_device_create(WINDOWS, 2 * PAGE);
    EXPECT((int64_t)device > 0 && map_device(READ_WRITE));
    EXPECT(tap_in_child(read_it) == 0 && tap_in_child(write_it) == 0);
    EXPECT(sys_protect((uint64_t)registers, PAGE, PROTECT_READ | PROTECT_EXECUTE) == STATUS_ERR_PROTECTION);
    EXPECT(sys_unmap((uint64_t)registers, PAGE) == STATUS_OK && tap_in_child(read_it) == PAGE_FAULT);
    EXPECT(sys_device_map(device, 0, PAGE, 2 * PAGE, PROTECT_READ) == STATUS_ERR_RANGE);
    EXPECT(sys_device_map(device, 0, PAGE, 512, PROTECT_READ) == STATUS_ERR_UNALIGNED);
    EXPECT(sys_device_map(device, 0, 3 * PAGE, 0, PROTECT_READ) == STATUS_ERR_RANGE);
    EXPECT(sys_device_map(device, 0, PAGE, UINT64_MAX - PAGE + 1, PROTECT_READ) == STATUS_ERR_RANGE);
    EXPECT(sys_device_map(device, 0, PAGE, 0, PROTECT_EXECUTE) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(sys_device_map(device, 0, PAGE, 0, PROTECT_READ | MAP_COPY) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(sys_region_map(device, 0, PAGE, 0, PROTECT_READ) == STATUS_ERR_CAP_TYPE);
    EXPECT(sys_region_seal(device) == STATUS_ERR_CAP_TYPE);
    handle_t all = device;
    device = (handle_t)sys_cap_derive(all, RIGHT_READ, 0);
    EXPECT(sys_device_map(device, 0, PAGE, 0, READ_WRITE) == STATUS_ERR_CAP_RIGHTS &&
           map_device(PROTECT_READ));
    EXPECT(tap_in_child(read_it) == 0 && tap_in_child(write_it) == PAGE_FAULT);
    EXPECT(sys_protect((uint64_t)registers, PAGE, READ_WRITE) == STATUS_ERR_PROTECTION);
    EXPECT(sys_unmap((uint64_t)registers, PAGE) == STATUS_OK && sys_cap_delete(device) == STATUS_OK);
    return sys_cap_delete(all) == STATUS_OK;
}

/* covers: CP-06 (device memory), CP-15 (hardware: MMIO) */
static bool test_a_mapping_ends_with_its_capability(void)
{
    handle_t all = (handle_t)sys_device_create(WINDOWS, PAGE);
    EXPECT((int64_t)all > 0);
    device = (handle_t)sys_cap_derive(all, RIGHTS_ALL, 0);
    EXPECT(map_device(READ_WRITE) && tap_in_child(read_it) == 0);
    EXPECT(sys_protect((uint64_t)registers, PAGE, PROTECT_READ) == STATUS_OK); /* a piece of it, changed */
    EXPECT(sys_cap_revoke(all) == 1);
    EXPECT(tap_in_child(read_it) == PAGE_FAULT);
    EXPECT(sys_device_map(device, 0, PAGE, 0, PROTECT_READ) == STATUS_ERR_CAP_REVOKED);
    EXPECT(sys_unmap((uint64_t)registers, PAGE) == STATUS_OK);
    device = all;
    EXPECT(map_device(READ_WRITE) && sys_cap_delete(all) == STATUS_OK && tap_in_child(read_it) == PAGE_FAULT);
    return sys_unmap((uint64_t)registers, PAGE) == STATUS_OK;
}

/* A run whose content is this byte all over; its region, 0 when something was wrong. */
static handle_t filled_run(uint64_t bytes, uint64_t *physical, int byte)
{
    int64_t region = sys_dma_create(bytes, physical);
    int64_t at = region > 0 ? sys_region_map((handle_t)region, 0, bytes, 0, READ_WRITE) : region;
    bool zero = at > 0;
    for (uint64_t i = 0; zero && i < bytes; i++) {
        zero = ((const char *)(uint64_t)at)[i] == 0;
    }
    if (!zero) {
        return 0;
    }
    memset((char *)(uint64_t)at, byte, bytes);
    return sys_unmap((uint64_t)at, bytes) == STATUS_OK ? (handle_t)region : 0;
}

/* covers: CP-15 (hardware: DMA) */
static bool test_memory_for_dma_serves_nothing_else_ever_after(void)
{
    uint64_t first, second, again;
    uint64_t before = tap_free_frames();
    handle_t one = filled_run(RUN, &first, 1);
    handle_t two = filled_run(1, &second, 2);
    EXPECT(one != 0 && two != 0 && first % PAGE == 0 && second % PAGE == 0);
    EXPECT(second + PAGE <= first || second >= first + RUN);
    EXPECT(sys_device_create(first, RUN) == STATUS_ERR_PERMISSION); /* it is memory as any other */
    EXPECT(sys_cap_delete(one) == STATUS_OK && sys_cap_delete(two) == STATUS_OK);
    uint64_t after = tap_free_frames();
    EXPECT(after + 4 <= before);           /* a device that was not told may still write there */
    one = filled_run(2 * PAGE, &again, 3); /* zeroed, and the same as before: nobody else had it meanwhile */
    EXPECT(one != 0 && again == first);
    two = filled_run(PAGE, &again, 4);
    EXPECT(two != 0 && again == second && tap_free_frames() <= after);
    EXPECT(sys_cap_delete(one) == STATUS_OK && sys_cap_delete(two) == STATUS_OK);
    EXPECT(tap_free_frames() == after);
    return true;
}

/* covers: CP-15 (hardware: DMA) */
static bool test_memory_for_dma_has_bounds(void)
{
    uint64_t physical = 7;
    EXPECT(sys_dma_create(0, &physical) == STATUS_ERR_RANGE);
    EXPECT(sys_dma_create(DMA_MAX_BYTES + 1, &physical) == STATUS_ERR_RANGE);
    EXPECT(sys_dma_create(UINT64_MAX, &physical) == STATUS_ERR_RANGE && physical == 7);
    EXPECT(sys_dma_create(RUN, (uint64_t *)0xffffffff80100000) == STATUS_ERR_BAD_ADDRESS);
    uint64_t before = tap_free_frames();
    EXPECT(sys_dma_create(RUN, NULL) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_dma_create(RUN, (uint64_t *)(uintptr_t)sys_map) == STATUS_ERR_PROTECTION); /* not writable */
    EXPECT(tap_free_frames() + RUN / PAGE >= before);
    handle_t most = filled_run(DMA_MAX_BYTES, &physical, 5);
    return most != 0 && sys_cap_delete(most) == STATUS_OK;
}

/* covers: CP-15 (hardware: IRQ), IR-12 (bounds) */
static bool test_an_interrupt_input_has_one_holder(void)
{
    handle_t notification = (handle_t)sys_notification_create();
    EXPECT(sys_gsi_create(15, 0) == STATUS_ERR_RANGE && sys_gsi_create(64, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_gsi_create(UINT64_MAX, 0) == STATUS_ERR_RANGE &&
           sys_gsi_create(1ull << 32, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_gsi_create(23, 4) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(sys_gsi_create(63, 0) == STATUS_ERR_NOT_FOUND); /* there is no such input */
    int64_t line = sys_gsi_create(22, GSI_LEVEL);
    EXPECT(line > 0 && sys_gsi_create(22, GSI_LEVEL) == STATUS_ERR_BUSY);
    EXPECT(sys_irq_acknowledge((handle_t)line) == STATUS_ERR_STATE);
    EXPECT(sys_irq_bind((handle_t)line, notification, 1) == STATUS_OK);
    EXPECT(sys_cap_delete((handle_t)line) == STATUS_OK && sys_quiesce() == STATUS_OK);
    line = sys_gsi_create(22, 0);
    return line > 0 && sys_cap_delete((handle_t)line) == STATUS_OK &&
           sys_cap_delete(notification) == STATUS_OK;
}

static const struct tap_test tests[] = {
    {"who_has_no_hardware_gets_none", test_who_has_no_hardware_gets_none},
    {"memory_and_the_kernels_devices_are_no_devices", test_memory_and_the_kernels_devices_are_no_devices},
    {"a_mapping_allows_what_the_capability_does", test_a_mapping_allows_what_the_capability_does},
    {"a_mapping_ends_with_its_capability", test_a_mapping_ends_with_its_capability},
    {"memory_for_dma_serves_nothing_else_ever_after", test_memory_for_dma_serves_nothing_else_ever_after},
    {"memory_for_dma_has_bounds", test_memory_for_dma_has_bounds},
    {"an_interrupt_input_has_one_holder", test_an_interrupt_input_has_one_holder},
};

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    const struct tap_group group = {tests, sizeof(tests) / sizeof(tests[0])};
    return tap_run(&group, 1, argc, argv);
}
