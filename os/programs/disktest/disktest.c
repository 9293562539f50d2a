/*
 * disktest: a disk as a service, by programs/virtblk, and dimensions from it. The disk has an archive of fourteen dimension files
 * (tests/e2e/kernel_disk.sh) at its start and in its last 64 sectors words that count: sector n of them n, n + 1, ... Each test
 * starts the driver, and ends it.
 *
 *     disktest --list     says how many dimensions the store has loaded
 *     disktest --read N   reads the last sectors N times of a driver that runs already, and says how that went
 *     disktest --stuck    reads until a request fails, whose buffer must stay out of use until the device can be reset
 */
#include "lib/disk.h"
#include "lib/dimclient.h"
#include "lib/names.h"
#include "lib/tap.h"

#define PAGE         4096u
#define MS           1000000ull
#define PATIENCE_NS  5000000000ull
#define COUNTED      64u /* sectors at the end */
#define WORDS        (DISK_SECTOR_BYTES / 4)
#define BUFFERS      8u
#define MOST_SECTORS 128u
#define READERS      4u

static int64_t driver;
static struct disk disk;
static uint32_t words[COUNTED * WORDS];

/* ---- the driver and its disk ---- */

static int64_t start(const char *program, const char *option)
{
    static const char *const environment[] = {NULL};
    const char *const arguments[] = {program, option, NULL};
    int64_t pid = sys_fork();
    if (pid == 0) {
        (void)sys_cap_delete(disk.region); /* else it would hold the buffer of its parent */
        (void)sys_exec(program, arguments, environment);
        sys_exit(127);
    }
    return pid;
}

static int stop(int64_t pid)
{
    int status = -1;
    bool ended = pid > 0 && sys_process_kill((unsigned)pid, 99) == STATUS_OK &&
                 sys_wait((unsigned)pid, &status, 0) == pid;
    return ended ? status : -1;
}

/* Once all that a former driver had is free, so that this one gets the same memory. */
static bool open_disk(const char *option)
{
    (void)sys_quiesce();
    driver = start("virtblk", option);
    return driver > 0 && disk_open(&disk, PATIENCE_NS) == STATUS_OK;
}

/* The driver ends first: nobody is left to be told that the buffer goes. */
static bool close_disk(void)
{
    int status = stop(driver);
    driver = 0;
    disk_close(&disk);
    return status == 99 && name_tidy() >= 0; /* its name is free */
}

static void stop_everything(void)
{
    if (driver > 0) {
        (void)close_disk();
    }
}

static uint64_t first_counted(void)
{
    return disk.bytes / DISK_SECTOR_BYTES - COUNTED;
}

static bool all_are(const unsigned char *at, uint64_t bytes, unsigned char value)
{
    for (uint64_t i = 0; i < bytes; i++) {
        if (at[i] != value) {
            return false;
        }
    }
    return true;
}

/* Whether bytes of the last sectors are what they are to be: a piece from `offset` on. */
static bool reads_well(const struct disk *from, uint64_t offset, uint64_t bytes)
{
    static unsigned char got[sizeof(words)];
    const unsigned char *wanted = (const unsigned char *)words;
    for (uint32_t i = 0; i < COUNTED * WORDS; i++) {
        words[i] = i / WORDS + i % WORDS;
    }
    memset(got, 0xee, sizeof(got));
    uint64_t start = from->bytes - sizeof(words);
    return disk_read(from, start + offset, got, bytes) == STATUS_OK &&
           memcmp(got, wanted + offset, bytes) == 0 && all_are(got + bytes, sizeof(got) - bytes, 0xee);
}

static status_t ask(unsigned label, uint64_t first, uint64_t second)
{
    struct ipc_registers m;
    return disk_ask(&disk, label, first, second, &m);
}

/* ---- tests ---- */

/* covers: NX-02 (a disk's driver), NX-03 (a disk) */
static bool test_every_byte_of_the_disk_can_be_read(void)
{
    char magic[6];
    EXPECT(open_disk(NULL) && disk.bytes > sizeof(words) && !disk.writable);
    EXPECT(disk_read(&disk, 0, magic, sizeof(magic)) == STATUS_OK && memcmp(magic, "070701", 6) == 0);
    EXPECT(reads_well(&disk, 0, sizeof(words)));
    for (uint64_t offset = 0; offset < 2 * DISK_SECTOR_BYTES; offset += 97) {
        for (uint64_t bytes = 1; bytes < 3 * DISK_SECTOR_BYTES; bytes = 3 * bytes + 1) {
            EXPECT(reads_well(&disk, offset, bytes));
        }
    }
    EXPECT(disk_read(&disk, disk.bytes, magic, 0) == STATUS_OK);
    EXPECT(disk_read(&disk, disk.bytes, magic, 1) == STATUS_ERR_RANGE);
    EXPECT(disk_read(&disk, UINT64_MAX, magic, 2) == STATUS_ERR_RANGE);
    return close_disk();
}

static bool test_what_no_disk_can_do_is_refused(void)
{
    EXPECT(open_disk(NULL));
    uint64_t sectors = disk.bytes / DISK_SECTOR_BYTES;
    EXPECT(ask(DISK_READ, sectors - 1, 1) == STATUS_OK && ask(DISK_READ, sectors, 1) == STATUS_ERR_RANGE);
    EXPECT(ask(DISK_READ, sectors - 1, 2) == STATUS_ERR_RANGE && ask(DISK_READ, 0, 0) == STATUS_ERR_RANGE);
    EXPECT(ask(DISK_READ, 0, MOST_SECTORS) == STATUS_OK);
    EXPECT(ask(DISK_READ, 0, MOST_SECTORS + 1) == STATUS_ERR_RANGE);
    EXPECT(ask(DISK_READ, UINT64_MAX, 1) == STATUS_ERR_RANGE &&
           ask(DISK_READ, 1, UINT64_MAX) == STATUS_ERR_RANGE);
    EXPECT(ask(DISK_READ, 1ull << 55, 1) == STATUS_ERR_RANGE); /* as bytes, it wraps */
    EXPECT(ask(DISK_READ, 0, 1ull << 32 | 1) == STATUS_ERR_RANGE);
    EXPECT(ask(DISK_WRITE, sectors - 1, 1) == STATUS_ERR_PERMISSION &&
           ask(DISK_FLUSH, 0, 0) == STATUS_ERR_PERMISSION);
    EXPECT(ask(0, 0, 0) == STATUS_ERR_ARGUMENT && ask(7, 0, 0) == STATUS_ERR_ARGUMENT);
    EXPECT(ask(UINT32_MAX, 0, 0) == STATUS_ERR_ARGUMENT);
    struct ipc_registers m = {.words = {0, 1, (handle_t)sys_endpoint_create(0)},
                              .tag = ipc_tag(DISK_READ, 3, 1),
                              .time = PATIENCE_NS};
    EXPECT(sys_ipc_call(disk.server, &m) == STATUS_OK &&
           m.words[0] == STATUS_OK); /* and what came is dropped */
    m = (struct ipc_registers){.tag = ipc_tag(DISK_READ, 0, 0), .time = PATIENCE_NS};
    EXPECT(sys_ipc_send(disk.server, &m) == STATUS_OK); /* nobody waits for an answer */
    EXPECT(ask(DISK_CLOSE, 0, 0) == STATUS_OK && ask(DISK_READ, 0, 1) == STATUS_ERR_STATE);
    EXPECT(ask(DISK_CLOSE, 0, 0) == STATUS_ERR_STATE);
    return close_disk();
}

static void touch_buffer(void)
{
    (void)*(volatile unsigned char *)disk.buffer;
}

static bool test_a_buffer_that_was_given_up_is_nobodys(void)
{
    EXPECT(open_disk(NULL) && reads_well(&disk, 0, sizeof(words)) && tap_in_child(touch_buffer) == 0);
    EXPECT(ask(DISK_CLOSE, 0, 0) == STATUS_OK && tap_in_child(touch_buffer) == STATUS_KILLED_BASE + 14);
    struct disk again;
    EXPECT(disk_open(&again, PATIENCE_NS) == STATUS_OK); /* the same memory, with nothing in it */
    for (uint64_t i = 0; i < again.buffer_bytes; i++) {
        EXPECT(again.buffer[i] == 0);
    }
    disk_close(&again);
    return close_disk();
}

static int open_and_die(void)
{
    struct disk own;
    return disk_open(&own, PATIENCE_NS) == STATUS_OK ? 7 : 1;
}

static bool test_clients_beyond_the_buffers_wait_for_those_who_end(void)
{
    struct disk others[BUFFERS];
    EXPECT(open_disk(NULL));
    for (unsigned i = 0; i + 1 < BUFFERS; i++) {
        EXPECT(disk_open(&others[i], PATIENCE_NS) == STATUS_OK);
    }
    EXPECT(disk_open(&others[BUFFERS - 1], PATIENCE_NS) == STATUS_ERR_BUSY &&
           others[BUFFERS - 1].server == 0);
    EXPECT(reads_well(&others[3], 5, 1000));
    disk_close(&others[0]);
    for (unsigned i = 0; i < 2 * BUFFERS; i++) { /* who ends without a word leaves its buffer to the next */
        EXPECT(tap_status(tap_child(open_and_die)) == 7);
    }
    for (unsigned i = 1; i + 1 < BUFFERS; i++) {
        EXPECT(reads_well(&others[i], i, 2000));
        disk_close(&others[i]);
    }
    return close_disk();
}

static int read_on_and_on(void)
{
    struct disk own;
    if (disk_open(&own, PATIENCE_NS) != STATUS_OK) {
        return 1;
    }
    for (unsigned i = 0; i < 20; i++) {
        if (!reads_well(&own, 37 * i, 4096 + 512 * i)) {
            return 2;
        }
    }
    return 0;
}

static bool test_many_read_at_once(void)
{
    int64_t readers[READERS];
    EXPECT(open_disk(NULL));
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = tap_child(read_on_and_on);
    }
    int64_t killed = tap_child(read_on_and_on);
    sys_sleep(MS / 4);
    EXPECT(killed > 0 && (stop(killed) == 99 || true)); /* perhaps in the middle of a request */
    for (unsigned i = 0; i < READERS; i++) {
        EXPECT(tap_status(readers[i]) == 0);
    }
    EXPECT(reads_well(&disk, 0, sizeof(words)));
    return close_disk();
}

static bool test_what_is_written_is_read_again(void)
{
    static unsigned char data[3 * DISK_SECTOR_BYTES];
    static unsigned char got[3 * DISK_SECTOR_BYTES];
    EXPECT(open_disk("--write") && disk.writable);
    uint64_t at = (first_counted() + 8) * DISK_SECTOR_BYTES;
    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = (unsigned char)(i * 7 + 1);
    }
    EXPECT(disk_write(&disk, at + 1, data, DISK_SECTOR_BYTES) == STATUS_ERR_UNALIGNED);
    EXPECT(disk_write(&disk, at, data, 100) == STATUS_ERR_UNALIGNED);
    EXPECT(disk_write(&disk, disk.bytes, data, DISK_SECTOR_BYTES) == STATUS_ERR_RANGE);
    EXPECT(ask(DISK_WRITE, disk.bytes / DISK_SECTOR_BYTES, 1) == STATUS_ERR_RANGE);
    EXPECT(reads_well(&disk, 0, sizeof(words))); /* so far nothing has changed */
    EXPECT(disk_write(&disk, at, data, sizeof(data)) == STATUS_OK);
    EXPECT(disk_read(&disk, at, got, sizeof(got)) == STATUS_OK && memcmp(got, data, sizeof(got)) == 0);
    EXPECT(reads_well(&disk, 0, 8 * DISK_SECTOR_BYTES));
    EXPECT(reads_well(&disk, 11 * DISK_SECTOR_BYTES, (COUNTED - 11) * DISK_SECTOR_BYTES));
    EXPECT(close_disk() && open_disk("--write")); /* another driver finds it as well */
    EXPECT(disk_read(&disk, at, got, sizeof(got)) == STATUS_OK && memcmp(got, data, sizeof(got)) == 0);
    memcpy(data, (unsigned char *)words + 8 * DISK_SECTOR_BYTES, sizeof(data));
    EXPECT(disk_write(&disk, at, data, sizeof(data)) == STATUS_OK && reads_well(&disk, 0, sizeof(words)));
    return close_disk();
}

/* covers: NX-02 (a disk's driver) */
static bool test_a_driver_that_ends_takes_nobody_along(void)
{
    int status = 0;
    EXPECT(open_disk(NULL));
    int64_t second = start("virtblk", NULL); /* the line is the first one's */
    EXPECT(sys_wait((unsigned)second, &status, 0) == second && status == 1);
    EXPECT(reads_well(&disk, 0, sizeof(words)));
    EXPECT(stop(driver) == 99);
    EXPECT(ask(DISK_READ, 0, 1) == STATUS_ERR_PEER);
    disk_close(&disk);
    EXPECT(open_disk(NULL) && reads_well(&disk, 0, sizeof(words)));
    return close_disk();
}

static handle_t opened; /* notification */

static int read_most(void)
{
    struct ipc_registers m;
    struct disk own; /* a child's capability is another one than its parent's */
    status_t status = disk_open(&own, PATIENCE_NS);
    (void)sys_notification_signal(opened, 1);
    while (
        status ==
        STATUS_OK) { /* until there is no driver any more: so it ends in the middle of a request, or right before one */
        status = disk_ask(&own, DISK_READ, 0, MOST_SECTORS, &m);
    }
    return status == STATUS_ERR_PEER ? 0 : 1;
}

/* The next driver finds a device that is at work for its predecessor. */
static bool test_a_driver_that_ends_at_work_can_be_followed(void)
{
    uint64_t bits;
    opened = (handle_t)sys_notification_create();
    for (unsigned i = 0; i < 6; i++) {
        EXPECT(open_disk(NULL));
        int64_t reader = tap_child(read_most);
        EXPECT(sys_notification_wait(opened, 1, &bits, IPC_FOREVER) == STATUS_OK);
        sys_sleep(MS + i * MS / 100);
        EXPECT(stop(driver) == 99);
        disk_close(&disk);
        EXPECT(open_disk(NULL) && reads_well(&disk, 0, sizeof(words)) && tap_status(reader) == 0);
        EXPECT(close_disk());
    }
    return sys_cap_delete(opened) == STATUS_OK;
}

/* A layer as tests/e2e/kernel_disk.sh has made it. */
static bool layer_is_right(struct dim_client *client, unsigned dimension)
{
    struct dim_view view = {0};
    struct dim_slice slice = {0};
    char line[] = "Line 1 of layer 2 of dimension 00.\n";
    line[31] = (char)('0' + dimension / 10);
    line[32] = (char)('0' + dimension % 10);
    bool good = dim_client_open(client, (dim_id_t){(uint16_t)dimension}, &view) == STATUS_OK &&
                dim_view_layer(&view, (dim_layer_t){2}, &slice) == STATUS_OK &&
                slice.size_bytes >= sizeof(line) && memcmp(slice.bytes, line, sizeof(line) - 1) == 0;
    dim_view_close(&view);
    return good;
}

static status_t change(const struct dim_client *client, enum dim_operation operation, unsigned dimension)
{
    struct dim_message m;
    return dim_client_ask(client, operation, dimension, 0, &m, NULL);
}

/* covers: DS-06 (from a disk) */
static bool test_dimensions_come_from_the_disk(void)
{
    struct dim_client client;
    struct dim_message m;
    int status = -1;
    EXPECT(open_disk(NULL));
    int64_t store = start("dimstore", "--disk");
    EXPECT(dim_client_connect(&client, true, PATIENCE_NS) == STATUS_OK);
    for (unsigned i = 0; i < 14; i++) {
        EXPECT(change(&client, DIM_OP_LOAD, i) == STATUS_OK && layer_is_right(&client, i));
        EXPECT(dim_client_ask(&client, DIM_OP_INFO, i, 0, &m, NULL) == STATUS_OK);
        EXPECT((m.words[1] >> 32 & 3) == 2); /* from a file, not simulated */
    }
    EXPECT(change(&client, DIM_OP_VALIDATE, 0) == STATUS_OK);
    EXPECT(change(&client, DIM_OP_SWITCH, 5) == STATUS_OK && layer_is_right(&client, 5));
    EXPECT(change(&client, DIM_OP_UNLOAD, 6) == STATUS_OK);
    for (unsigned i = 0; i < 4; i++) { /* more than it has threads: nobody waits for an answer */
        struct ipc_registers sent = {.tag = ipc_tag(DIM_OP_LIST, 0, 0), .time = PATIENCE_NS};
        EXPECT(sys_ipc_send(client.server, &sent) == STATUS_OK);
    }
    EXPECT(stop(driver) == 99); /* the store goes on with what it has, and with the next driver */
    disk_close(&disk);
    EXPECT(layer_is_right(&client, 4));
    EXPECT(change(&client, DIM_OP_LOAD, 6) != STATUS_OK && layer_is_right(&client, 7));
    EXPECT(open_disk(NULL) && change(&client, DIM_OP_LOAD, 6) == STATUS_OK && layer_is_right(&client, 6));
    EXPECT(change(&client, DIM_OP_CLOSE, 0) == STATUS_OK);
    dim_client_close(&client);
    EXPECT(sys_wait((unsigned)store, &status, 0) == store && status == 0);
    return close_disk();
}

static bool test_all_drivers_had_the_same_memory(void)
{
    static struct system_stats stats;
    EXPECT(open_disk(NULL) && close_disk());
    EXPECT(sys_stats(&stats, sizeof(stats)) == (int64_t)sizeof(stats));
    return stats.frames_dma == 1 + BUFFERS * MOST_SECTORS * DISK_SECTOR_BYTES / PAGE;
}

static const struct tap_test tests[] = {
    {"every_byte_of_the_disk_can_be_read", test_every_byte_of_the_disk_can_be_read},
    {"what_no_disk_can_do_is_refused", test_what_no_disk_can_do_is_refused},
    {"a_buffer_that_was_given_up_is_nobodys", test_a_buffer_that_was_given_up_is_nobodys},
    {"clients_beyond_the_buffers_wait_for_those_who_end",
     test_clients_beyond_the_buffers_wait_for_those_who_end},
    {"many_read_at_once", test_many_read_at_once},
    {"what_is_written_is_read_again", test_what_is_written_is_read_again},
    {"a_driver_that_ends_takes_nobody_along", test_a_driver_that_ends_takes_nobody_along},
    {"a_driver_that_ends_at_work_can_be_followed", test_a_driver_that_ends_at_work_can_be_followed},
    {"dimensions_come_from_the_disk", test_dimensions_come_from_the_disk},
    {"all_drivers_had_the_same_memory", test_all_drivers_had_the_same_memory},
};

/* Right, refused or wrong: what a device that does not keep to the rules makes of reads. */
static int read_often(int64_t times)
{
    unsigned good = 0, failed = 0, wrong = 0;
    if (disk_open(&disk, PATIENCE_NS) != STATUS_OK) {
        return 1;
    }
    for (int64_t i = 0; i < times; i++) {
        struct ipc_registers m;
        status_t status = disk_ask(&disk, DISK_READ, first_counted() + (uint64_t)i % COUNTED, 1, &m);
        bool right = *(const uint32_t *)(const void *)disk.buffer == (uint32_t)i % COUNTED;
        good += status == STATUS_OK && right;
        wrong += status == STATUS_OK && !right;
        failed += status != STATUS_OK;
    }
    print("disktest: %u good, %u failed, %u wrong\n", good, failed, wrong);
    disk_close(&disk);
    return 0;
}

static bool open_all(struct disk *others, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (disk_open(&others[i], PATIENCE_NS) != STATUS_OK) {
            return false;
        }
    }
    return true;
}

/* A request fails and the device is not seen to be reset: nobody gets the buffer, not even when nobody has it mapped. */
static bool buffer_stays_out_of_use(struct disk *others)
{
    EXPECT(ask(DISK_CLOSE, 0, 0) == STATUS_ERR_DEVICE && ask(DISK_OPEN, 0, 0) == STATUS_ERR_DEVICE);
    EXPECT(ask(DISK_READ, first_counted(), 1) == STATUS_ERR_DEVICE);
    EXPECT(sys_unmap((uint64_t)disk.buffer, disk.buffer_bytes) == STATUS_OK);
    EXPECT(open_all(others, BUFFERS - 1)); /* they have one each that the device knows nothing of */
    struct disk last;
    EXPECT(disk_open(&last, PATIENCE_NS) == STATUS_ERR_BUSY);
    EXPECT(ask(DISK_CLOSE, 0, 0) == STATUS_ERR_DEVICE);
    return true;
}

static int stuck(void)
{
    struct disk others[BUFFERS - 1];
    struct disk last;
    status_t status = disk_open(&disk, PATIENCE_NS);
    while (status == STATUS_OK) {
        status = ask(DISK_READ, first_counted(), 1);
    }
    bool good = status == STATUS_ERR_DEVICE && buffer_stays_out_of_use(others);
    print("disktest: the buffer %s\n", good ? "stays out of use" : "is in use");
    while (good &&
           disk_open(&last, PATIENCE_NS) == STATUS_ERR_BUSY) { /* until the device lets itself be reset */
        sys_sleep(MS);
    }
    good = good && reads_well(&last, 0, sizeof(words)) && ask(DISK_CLOSE, 0, 0) == STATUS_ERR_STATE;
    return good ? 0 : 1;
}

static int list(void)
{
    struct dim_client client;
    struct dim_message m;
    if (dim_client_connect(&client, false, PATIENCE_NS) != STATUS_OK ||
        dim_client_ask(&client, DIM_OP_LIST, 0, 0, &m, NULL) != STATUS_OK) {
        return 1;
    }
    unsigned loaded = 0;
    for (uint64_t bits = m.words[1]; bits != 0; bits &= bits - 1) {
        loaded++;
    }
    print("disktest: %u dimensions\n", loaded);
    dim_client_close(&client);
    return 0;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    const struct tap_group group = {tests, sizeof(tests) / sizeof(tests[0])};
    if (argc == 3 && strcmp(argv[1], "--read") == 0) {
        return read_often(parse_number(argv[2]));
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        return list();
    }
    if (argc == 2 && strcmp(argv[1], "--stuck") == 0) {
        return stuck();
    }
    tap_after_failure(stop_everything);
    return tap_run(&group, 1, argc, argv);
}
