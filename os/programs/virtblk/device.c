/*
 * The registers of a virtio block device. Source: Virtual I/O Device Version 1.1, "Virtio Over MMIO", "Device Initialization",
 * "Block Device". Deviations: legacy devices (version 1) are not driven; the capacity is read at each start, changes of the
 * configuration in between are not looked for.
 */
#include "device.h"

#define PAGE 4096u

#define MAGIC           0x000u
#define VERSION         0x004u
#define DEVICE_ID       0x008u
#define FEATURES        0x010u
#define FEATURES_SELECT 0x014u
#define ACCEPTED        0x020u
#define ACCEPTED_SELECT 0x024u
#define QUEUE_SELECT    0x030u
#define QUEUE_MOST      0x034u
#define QUEUE_ENTRIES   0x038u
#define QUEUE_READY     0x044u
#define QUEUE_NOTIFY    0x050u
#define INTERRUPTS      0x060u
#define INTERRUPTS_DONE 0x064u
#define STATUS          0x070u
#define DESCRIPTOR_AREA 0x080u
#define AVAILABLE_AREA  0x090u
#define USED_AREA       0x0a0u
#define GENERATION      0x0fcu
#define CAPACITY        0x100u

#define MAGIC_VALUE   0x74726976u
#define VERSION_VALUE 2u
#define BLOCK_DEVICE  2u

#define STATUS_ACKNOWLEDGE 0x01u
#define STATUS_DRIVER      0x02u
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u
#define STATUS_FAILED      0x80u

#define FEATURE_READ_ONLY (1u << 5)
#define FEATURE_FLUSH     (1u << 9)
#define FEATURE_VERSION_1 (1u << 0) /* of the second word */

#define RESET_LOOKS     1000u
#define INTERRUPT_LOOKS 16u /* a device that always has one is left to its line */
#define PATIENCE_NS     5000000000ull
#define BIT             1u

static uint32_t get(const struct device *device, unsigned offset)
{
    return device->registers[offset / 4];
}

static void put(const struct device *device, unsigned offset, uint32_t value)
{
    device->registers[offset / 4] = value;
}

static void put_address(const struct device *device, unsigned offset, uint64_t address)
{
    put(device, offset, (uint32_t)address);
    put(device, offset + 4, (uint32_t)(address >> 32));
}

int64_t device_find(struct device *device, const struct window *window)
{
    uint64_t first = window->base & ~(uint64_t)(PAGE - 1);
    uint64_t bytes = (window->base + window->bytes - first + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    int64_t memory = sys_device_create(first, bytes);
    int64_t at =
        memory > 0 ? sys_device_map((handle_t)memory, 0, bytes, 0, PROTECT_READ | PROTECT_WRITE) : memory;
    if (at > 0) {
        *device = (struct device){.window = *window,
                                  .registers =
                                      (volatile uint32_t *)(uint64_t)(at + (int64_t)(window->base - first))};
        if (get(device, MAGIC) == MAGIC_VALUE && get(device, VERSION) == VERSION_VALUE &&
            get(device, DEVICE_ID) == BLOCK_DEVICE) {
            return STATUS_OK;
        }
        (void)sys_unmap((uint64_t)at, bytes);
        at = STATUS_ERR_NOT_FOUND;
    }
    if (memory > 0) {
        (void)sys_cap_delete((handle_t)memory);
    }
    return at;
}

/* Apart, so that a test can stand in for a device that never comes to rest. False: it goes on for ever. */
static __attribute__((noinline)) bool comes_to_rest(const struct device *device)
{
    for (unsigned i = 0; i < RESET_LOOKS; i++) {
        if (get(device, STATUS) == 0) {
            return true;
        }
        sys_yield();
    }
    return false;
}

/* What it was asked for is forgotten once it is at rest, and not before that. */
static bool reset(struct device *device)
{
    device->running = false;
    put(device, STATUS, 0);
    if (!comes_to_rest(device)) {
        return false;
    }
    device->busy_with = 0;
    return true;
}

/* Takes of what is offered what is needed; false: that is not all there. */
static bool negotiate(struct device *device)
{
    put(device, FEATURES_SELECT, 1);
    uint32_t high = get(device, FEATURES) & FEATURE_VERSION_1;
    put(device, FEATURES_SELECT, 0);
    uint32_t low = get(device, FEATURES) & (FEATURE_READ_ONLY | FEATURE_FLUSH);
    put(device, ACCEPTED_SELECT, 0);
    put(device, ACCEPTED, low);
    put(device, ACCEPTED_SELECT, 1);
    put(device, ACCEPTED, high);
    put(device, STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    device->writable = (low & FEATURE_READ_ONLY) == 0;
    device->flushes = (low & FEATURE_FLUSH) != 0;
    return high != 0 && (get(device, STATUS) & STATUS_FEATURES_OK) != 0;
}

static bool start_queue(struct device *device)
{
    put(device, QUEUE_SELECT, 0);
    if (get(device, QUEUE_READY) != 0 || get(device, QUEUE_MOST) < QUEUE_SIZE) {
        return false;
    }
    memset(device->page, 0, QUEUE_BYTES);
    queue_init(&device->queue, device->page, device->physical);
    put(device, QUEUE_ENTRIES, QUEUE_SIZE);
    put_address(device, DESCRIPTOR_AREA, device->physical);
    put_address(device, AVAILABLE_AREA, device->physical + QUEUE_AVAILABLE);
    put_address(device, USED_AREA, device->physical + QUEUE_USED);
    put(device, QUEUE_READY, 1);
    return true;
}

/* Both halves of one configuration; what does not rest for so long is taken as it is. */
static uint64_t read_capacity(const struct device *device)
{
    uint64_t sectors = 0;
    for (unsigned i = 0; i < RESET_LOOKS; i++) {
        uint32_t before = get(device, GENERATION);
        sectors = get(device, CAPACITY) | (uint64_t)get(device, CAPACITY + 4) << 32;
        if (get(device, GENERATION) == before) {
            break;
        }
    }
    return sectors;
}

int64_t device_start(struct device *device)
{
    if (!reset(device)) {
        return STATUS_ERR_DEVICE;
    }
    put(device, STATUS, STATUS_ACKNOWLEDGE);
    put(device, STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    if (!negotiate(device) || !start_queue(device)) {
        put(device, STATUS, STATUS_FAILED);
        return STATUS_ERR_UNSUPPORTED;
    }
    device->sectors = read_capacity(device);
    put(device, STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
    device->running = (get(device, STATUS) & (STATUS_NEEDS_RESET | STATUS_FAILED)) == 0;
    return device->running ? STATUS_OK : STATUS_ERR_DEVICE;
}

/*
 * The line is what only one driver can have. Then the reset, before there is any memory: what a former driver has asked for may
 * still be under way.
 */
int64_t device_open(struct device *device)
{
    uint32_t line = device->window.line;
    int64_t status = line < 16 ? sys_irq_create(line) : sys_gsi_create(line, GSI_LEVEL);
    if (status > 0) {
        device->line = (handle_t)status;
        status = reset(device) ? sys_notification_create() : STATUS_ERR_DEVICE;
    }
    if (status > 0) {
        device->events = (handle_t)status;
        status = sys_irq_bind(device->line, device->events, BIT);
    }
    if (status == STATUS_OK) {
        status = sys_dma_create(QUEUE_BYTES, &device->physical);
    }
    if (status > 0) {
        status = sys_region_map((handle_t)status, 0, QUEUE_BYTES, 0, PROTECT_READ | PROTECT_WRITE);
    }
    if (status <= 0) {
        return status;
    }
    device->page = (void *)(uint64_t)status;
    return device_start(device);
}

/*
 * The device lowers its line when it is told that its interrupt was seen. A line that is triggered by its edge has no other
 * edge before that, so what has come since is looked for once more when the line can tell again.
 */
static void quiet(const struct device *device)
{
    for (unsigned i = 0; i < INTERRUPT_LOOKS; i++) {
        put(device, INTERRUPTS_DONE, get(device, INTERRUPTS));
        (void)sys_irq_acknowledge(device->line); /* nothing waits when the second look found more */
        if ((get(device, INTERRUPTS) & 3) == 0) {
            return;
        }
    }
}

static int64_t wait_for_end(struct device *device)
{
    uint64_t deadline = (uint64_t)sys_clock() + PATIENCE_NS;
    for (;;) {
        uint64_t now = (uint64_t)sys_clock();
        uint64_t bits = 0;
        int64_t status = now < deadline ? sys_notification_wait(device->events, BIT, &bits, deadline - now)
                                        : STATUS_ERR_TIMEOUT;
        if (status != STATUS_OK) {
            return status;
        }
        quiet(device);
        status = queue_take(&device->queue);
        if (status != STATUS_ERR_AGAIN) {
            return status;
        }
        if ((get(device, STATUS) & STATUS_NEEDS_RESET) != 0) {
            return STATUS_ERR_STATE;
        }
    }
}

int64_t device_do(struct device *device, uint32_t type, uint64_t sector, uint64_t buffer, uint32_t bytes)
{
    int64_t status = device->running ? STATUS_OK : device_start(device);
    if (status != STATUS_OK) {
        return status;
    }
    device->busy_with = buffer;
    queue_post(&device->queue, type, sector, buffer, bytes);
    put(device, QUEUE_NOTIFY, 0);
    status = wait_for_end(device);
    if (status == STATUS_OK || status == STATUS_ERR_DEVICE || status == STATUS_ERR_UNSUPPORTED) {
        device->busy_with = 0;
        return status;
    }
    (void)device_start(device); /* the next request tries again */
    return status == STATUS_ERR_STATE ? STATUS_ERR_DEVICE : status;
}

bool device_is_done_with(struct device *device, uint64_t buffer)
{
    return device->busy_with != buffer || reset(device);
}
