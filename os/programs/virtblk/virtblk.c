/*
 * virtblk [--write]: the driver of a virtio disk as a program: the first one that answers at the windows which the words
 * "virtio_mmio.device=" of the kernel command line name. It serves the protocol of lib/disk.h; writes are refused unless it was
 * told to take them. One thread serves one request at a time: clients queue at the endpoint. Each client has a buffer of its
 * own; what the device is told lies in memory that no client sees.
 */
#include "device.h"

#include "lib/disk.h"
#include "lib/names.h"
#include "lib/serve.h"

#define BUFFERS       8u
#define BUFFER_BYTES  65536u
#define CLIENT_REMOVE ((uint64_t)(RIGHTS_ALL & ~(RIGHT_READ | RIGHT_WRITE)) << IPC_REMOVE_SHIFT)

_Static_assert(DISK_SECTOR_BYTES == SECTOR_BYTES, "one size of sectors");

static struct buffer {
    uint64_t client; /* badge; 0: free */
    handle_t region;
    uint64_t physical;
    void *content; /* this program's own mapping */
} buffers[BUFFERS];

static struct device device;
static handle_t endpoint;
static bool takes_writes;

/* ---- buffers ---- */

static struct buffer *buffer_of(uint64_t client)
{
    for (unsigned i = 0; i < BUFFERS; i++) {
        if (buffers[i].client == client) {
            return &buffers[i];
        }
    }
    return NULL;
}

/* Nobody else has it any more, nor what was in it. False: the device may, so it stays its client's. */
static bool give_up(struct buffer *buffer)
{
    if (!device_is_done_with(&device, buffer->physical)) {
        return false;
    }
    (void)sys_cap_revoke(buffer->region);
    memset(buffer->content, 0, BUFFER_BYTES);
    buffer->client = 0;
    return true;
}

/* One whose client has gone, or does not use it. */
static struct buffer *reclaim(void)
{
    for (unsigned i = 0; i < BUFFERS; i++) {
        struct region_info info;
        if (sys_region_info(buffers[i].region, &info) == STATUS_OK && info.mappings <= 1 &&
            give_up(&buffers[i])) {
            return &buffers[i];
        }
    }
    return NULL;
}

/* ---- answers ---- */

static struct ipc_registers answer(int64_t status)
{
    return (struct ipc_registers){.words = {(uint64_t)status}, .tag = ipc_tag(0, 1, 0)};
}

static bool can_write(void)
{
    return takes_writes && device.writable;
}

static struct ipc_registers info(void)
{
    struct ipc_registers m = answer(STATUS_OK);
    m.words[1] = device.sectors;
    m.words[2] = can_write() ? 1 : 0;
    m.tag = ipc_tag(0, 3, 0);
    return m;
}

static struct ipc_registers open_buffer(uint64_t client)
{
    struct buffer *buffer = buffer_of(client);
    if (buffer != NULL && !give_up(buffer)) {
        return answer(STATUS_ERR_DEVICE);
    }
    if (buffer == NULL) {
        buffer = buffer_of(0);
        buffer = buffer != NULL ? buffer : reclaim();
    }
    if (buffer == NULL) {
        return answer(STATUS_ERR_BUSY);
    }
    buffer->client = client;
    struct ipc_registers m = answer(STATUS_OK);
    m.words[1] = BUFFER_BYTES;
    m.words[2] = buffer->region | CLIENT_REMOVE;
    m.tag = ipc_tag(0, 3, 1);
    return m;
}

static int64_t transfer(const struct buffer *buffer, uint32_t type, uint64_t sector, uint64_t count)
{
    if (type == REQUEST_WRITE && !can_write()) {
        return STATUS_ERR_PERMISSION;
    }
    if (count == 0 || count > BUFFER_BYTES / SECTOR_BYTES || sector > device.sectors ||
        count > device.sectors - sector) {
        return STATUS_ERR_RANGE;
    }
    return device_do(&device, type, sector, buffer->physical, (uint32_t)count * SECTOR_BYTES);
}

static int64_t flush(void)
{
    if (!can_write()) {
        return STATUS_ERR_PERMISSION;
    }
    return device.flushes ? device_do(&device, REQUEST_FLUSH, 0, 0, 0) : STATUS_OK;
}

static struct ipc_registers answer_to(const struct ipc_registers *m)
{
    struct buffer *buffer = m->badge != 0 ? buffer_of(m->badge) : NULL;
    uint64_t label = ipc_tag_label(m->tag);
    if (label == DISK_INFO) {
        return info();
    }
    if (label == DISK_OPEN && m->badge != 0) {
        return open_buffer(m->badge);
    }
    if (label < DISK_READ || label > DISK_CLOSE) {
        return answer(STATUS_ERR_ARGUMENT);
    }
    if (buffer == NULL) {
        return answer(STATUS_ERR_STATE);
    }
    if (label == DISK_CLOSE) {
        return answer(give_up(buffer) ? STATUS_OK : STATUS_ERR_DEVICE);
    }
    return answer(label == DISK_FLUSH ? flush()
                                      : transfer(buffer, label == DISK_READ ? REQUEST_READ : REQUEST_WRITE,
                                                 m->words[0], m->words[1]));
}

static int64_t serve(void)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    int64_t status = sys_ipc_receive(endpoint, &m);
    while (status == STATUS_OK) {
        serve_drop_handles(&m);
        m = answer_to(&m);
        m.time = IPC_FOREVER;
        status = serve_next(endpoint, &m);
    }
    return status;
}

/* ---- start ---- */

static int64_t find_disk(void)
{
    static char words[BOOT_ARGUMENTS_MAX];
    struct virtio_window window;
    const char *at = words;
    int64_t status = STATUS_ERR_NOT_FOUND;
    bool named = false;
    (void)sys_boot_arguments(words, sizeof(words));
    while (status != STATUS_OK && virtio_window_next(&at, &window)) {
        named = true;
        status = virtio_find(&device.transport, &window, VIRTIO_BLOCK);
        if (status != STATUS_OK && status != STATUS_ERR_NOT_FOUND) {
            print("virtblk: the window at %llx: %s\n", (unsigned long long)window.base,
                  status_text((status_t)status));
        }
    }
    if (status != STATUS_OK) {
        print("virtblk: %s\n", named ? "no disk answers at the windows of the command line"
                                     : "no virtio_mmio.device on the command line");
    }
    return status;
}

/* All memory that it will ever have, so that it needs no right to make more. */
static int64_t make_buffers(void)
{
    int64_t status = STATUS_OK;
    for (unsigned i = 0; i < BUFFERS && status >= 0; i++) {
        status = sys_dma_create(BUFFER_BYTES, &buffers[i].physical);
        if (status > 0) {
            buffers[i].region = (handle_t)status;
            status = sys_region_map(buffers[i].region, 0, BUFFER_BYTES, 0, PROTECT_READ | PROTECT_WRITE);
            buffers[i].content = (void *)(uint64_t)status;
        }
    }
    return status;
}

static int64_t open_doors(void)
{
    int64_t status = device_open(&device);
    if (status == STATUS_OK) {
        status = make_buffers();
    }
    if (status > 0) {
        (void)sys_cap_delete(CAP_HARDWARE); /* what it drives is all that it may touch from now on */
        status = sys_endpoint_create(0);
        endpoint = (handle_t)status;
    }
    return status > 0 ? name_bind(DISK_NAME, endpoint, RIGHT_WRITE) : status;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    takes_writes = argc == 2 && strcmp(argv[1], "--write") == 0;
    if (argc > 2 || (argc == 2 && !takes_writes)) {
        print("virtblk: takes --write or nothing\n");
        return 1;
    }
    if (find_disk() != STATUS_OK) {
        return 1;
    }
    int64_t status = open_doors();
    if (status == STATUS_OK) {
        print("virtblk: ready, %llu sectors, %s\n", (unsigned long long)device.sectors,
              can_write() ? "writable" : "read-only");
        status = serve();
    }
    print("virtblk: %s\n", status_text((status_t)status));
    return 1;
}
