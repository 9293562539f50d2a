/* The registers that all virtio devices over MMIO have, driven from a program. */
#include "lib/virtio.h"

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
#define CONFIGURATION   0x100u

#define MAGIC_VALUE   0x74726976u
#define VERSION_VALUE 2u

#define VIRTIO_STATUS_ACKNOWLEDGE 0x01u
#define VIRTIO_STATUS_DRIVER      0x02u
#define VIRTIO_STATUS_DRIVER_OK   0x04u
#define VIRTIO_STATUS_FEATURES_OK 0x08u
#define VIRTIO_STATUS_NEEDS_RESET 0x40u
#define VIRTIO_STATUS_FAILED      0x80u

#define FEATURE_VERSION_1 (1u << 0) /* of the second word */

#define RESET_LOOKS     1000u
#define INTERRUPT_LOOKS 16u /* a device that always has one is left to its line */
#define BIT             1u

static uint32_t get(const struct virtio *device, unsigned offset)
{
    return device->registers[offset / 4];
}

static void put(const struct virtio *device, unsigned offset, uint32_t value)
{
    device->registers[offset / 4] = value;
}

static void put_address(const struct virtio *device, unsigned offset, uint64_t address)
{
    put(device, offset, (uint32_t)address);
    put(device, offset + 4, (uint32_t)(address >> 32));
}

int64_t virtio_find(struct virtio *device, const struct virtio_window *window, uint32_t id)
{
    uint64_t first = window->base & ~(uint64_t)(PAGE - 1);
    uint64_t bytes = (window->base + window->bytes - first + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    int64_t memory = sys_device_create(first, bytes);
    int64_t at =
        memory > 0 ? sys_device_map((handle_t)memory, 0, bytes, 0, PROTECT_READ | PROTECT_WRITE) : memory;
    if (at > 0) {
        *device = (struct virtio){.window = *window,
                                  .registers =
                                      (volatile uint32_t *)(uint64_t)(at + (int64_t)(window->base - first))};
        if (get(device, MAGIC) == MAGIC_VALUE && get(device, VERSION) == VERSION_VALUE &&
            get(device, DEVICE_ID) == id) {
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
static __attribute__((noinline)) bool comes_to_rest(const struct virtio *device)
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
bool virtio_reset(struct virtio *device)
{
    device->running = false;
    put(device, STATUS, 0);
    return comes_to_rest(device);
}

/* Takes of what is offered what is needed; false: that is not all there. */
static bool negotiate(const struct virtio *device, uint32_t wanted, uint32_t *accepted)
{
    put(device, FEATURES_SELECT, 1);
    uint32_t high = get(device, FEATURES) & FEATURE_VERSION_1;
    put(device, FEATURES_SELECT, 0);
    *accepted = get(device, FEATURES) & wanted;
    put(device, ACCEPTED_SELECT, 0);
    put(device, ACCEPTED, *accepted);
    put(device, ACCEPTED_SELECT, 1);
    put(device, ACCEPTED, high);
    put(device, STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    return high != 0 && (get(device, STATUS) & VIRTIO_STATUS_FEATURES_OK) != 0;
}

static bool start_queue(struct virtio *device)
{
    put(device, QUEUE_SELECT, 0);
    if (get(device, QUEUE_READY) != 0 || get(device, QUEUE_MOST) < VIRTQUEUE_SIZE) {
        return false;
    }
    memset(device->page, 0, VIRTQUEUE_BYTES);
    virtqueue_init(&device->queue, device->page, device->physical);
    put(device, QUEUE_ENTRIES, VIRTQUEUE_SIZE);
    put_address(device, DESCRIPTOR_AREA, device->physical);
    put_address(device, AVAILABLE_AREA, device->physical + VIRTQUEUE_AVAILABLE);
    put_address(device, USED_AREA, device->physical + VIRTQUEUE_USED);
    put(device, QUEUE_READY, 1);
    return true;
}

int64_t virtio_begin(struct virtio *device, uint32_t wanted, uint32_t *accepted)
{
    put(device, STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    put(device, STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    if (!negotiate(device, wanted, accepted) || !start_queue(device)) {
        put(device, STATUS, VIRTIO_STATUS_FAILED);
        return STATUS_ERR_UNSUPPORTED;
    }
    return STATUS_OK;
}

int64_t virtio_go(struct virtio *device)
{
    put(device, STATUS,
        VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
            VIRTIO_STATUS_DRIVER_OK);
    device->running = (get(device, STATUS) & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED)) == 0;
    return device->running ? STATUS_OK : STATUS_ERR_DEVICE;
}

/* What does not rest for so long is taken as it is. */
uint64_t virtio_config64(const struct virtio *device, unsigned offset)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < RESET_LOOKS; i++) {
        uint32_t before = get(device, GENERATION);
        value = get(device, CONFIGURATION + offset) | (uint64_t)get(device, CONFIGURATION + offset + 4) << 32;
        if (get(device, GENERATION) == before) {
            break;
        }
    }
    return value;
}

/*
 * The line is what only one driver can have. Then the reset, before there is any memory: what a former driver has asked for may
 * still be under way.
 */
int64_t virtio_open(struct virtio *device)
{
    uint32_t line = device->window.line;
    int64_t status = line < 16 ? sys_irq_create(line) : sys_gsi_create(line, GSI_LEVEL);
    if (status > 0) {
        device->line = (handle_t)status;
        status = virtio_reset(device) ? sys_notification_create() : STATUS_ERR_DEVICE;
    }
    if (status > 0) {
        device->events = (handle_t)status;
        status = sys_irq_bind(device->line, device->events, BIT);
    }
    if (status == STATUS_OK) {
        status = sys_dma_create(VIRTQUEUE_BYTES, &device->physical);
    }
    if (status > 0) {
        status = sys_region_map((handle_t)status, 0, VIRTQUEUE_BYTES, 0, PROTECT_READ | PROTECT_WRITE);
    }
    if (status <= 0) {
        return status;
    }
    device->page = (void *)(uint64_t)status;
    return STATUS_OK;
}

/*
 * The device lowers its line when it is told that its interrupt was seen. A line that is triggered by its edge has no other
 * edge before that, so what has come since is looked for once more when the line can tell again.
 */
static void quiet(const struct virtio *device)
{
    for (unsigned i = 0; i < INTERRUPT_LOOKS; i++) {
        put(device, INTERRUPTS_DONE, get(device, INTERRUPTS));
        (void)sys_irq_acknowledge(device->line); /* nothing waits when the second look found more */
        if ((get(device, INTERRUPTS) & 3) == 0) {
            return;
        }
    }
}

void virtio_notify(const struct virtio *device)
{
    put(device, QUEUE_NOTIFY, 0);
}

int64_t virtio_wait(const struct virtio *device, uint64_t deadline)
{
    uint64_t now = (uint64_t)sys_clock();
    uint64_t bits = 0;
    int64_t status = now < deadline ? sys_notification_wait(device->events, BIT, &bits, deadline - now)
                                    : STATUS_ERR_TIMEOUT;
    if (status == STATUS_OK) {
        quiet(device);
    }
    return status;
}

bool virtio_needs_reset(const struct virtio *device)
{
    return (get(device, STATUS) & VIRTIO_STATUS_NEEDS_RESET) != 0;
}
