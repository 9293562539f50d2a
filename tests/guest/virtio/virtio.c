/*
 * Virtio devices, driven from bare metal: a disk whose sector n begins with the words n, n + 1, ... and whatever entropy source
 * there is. Prints one line a check on COM1, "ok NAME" or "FAIL NAME: got", then ends through the debug-exit port with 16 or 17.
 * The lines are the same on every machine that has these devices on an I/O APIC: Orrery, and QEMU's board microvm.
 */
#include "driver.h"
#include "loops.h"

#define COM1      0x3f8
#define COM1_LCR  (COM1 + 3)
#define COM1_LSR  (COM1 + 5)
#define LCR_8BITS 3
#define EXIT_PORT 0xf4
#define EXIT_PASS 16
#define EXIT_FAIL 17

#define SECTOR  512u
#define SECTORS 64u /* of the disk that the test makes */
#define WORDS   (SECTOR / 4)

#define BLK_IN           0u
#define BLK_OUT          1u
#define BLK_FLUSH        4u
#define BLK_ID           8u
#define BLK_WRITE_ZEROES 13u
#define BLK_OK           0u
#define BLK_IOERR        1u
#define BLK_UNSUPP       2u
#define STATUS_NONE      0xeeu
#define NEEDS_RESET      64u
#define INTERRUPT_USED   1u
#define INTERRUPT_CONFIG 2u
#define WAIT_ROUNDS      100000000u

struct request {
    uint32_t type, reserved;
    uint64_t sector;
};

static struct device disk, source;
static volatile struct request header;
static volatile uint32_t data[8 * WORDS];
static volatile uint8_t status;
static struct desc table[4] __attribute__((aligned(16)));
static bool failed;

static void put(char c)
{
    while (!(in8(COM1_LSR) & 0x20)) {
    }
    out8(COM1, (uint8_t)c);
}

static void print(const char *text)
{
    for (; *text; text++) {
        put(*text);
    }
}

static void print_hex(uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4) {
        put("0123456789abcdef"[value >> shift & 15]);
    }
}

static void check(const char *name, uint64_t got, uint64_t expected)
{
    print(got == expected ? "ok " : "FAIL ");
    print(name);
    if (got != expected) {
        failed = true;
        print(": ");
        print_hex(got);
    }
    print("\n");
}

static _Noreturn void leave(void)
{
    out8(EXIT_PORT, failed ? EXIT_FAIL : EXIT_PASS);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

void bench_fault(uint64_t vector, uint64_t top_of_frame)
{
    check("no fault", vector << 32 | (uint32_t)top_of_frame, 0);
    leave();
}

/* Describes a request with size bytes of data, written by the device if `in`; what ends it is the status. */
static void describe(uint32_t type, uint64_t sector, uint32_t size, bool in)
{
    header.type = type;
    header.reserved = 0;
    header.sector = sector;
    status = STATUS_NONE;
    device_describe(&disk, 0, &header, sizeof header, DESC_NEXT, size ? 1 : 2);
    device_describe(&disk, 1, data, size, in ? DESC_NEXT | DESC_WRITE : DESC_NEXT, 2);
    device_describe(&disk, 2, &status, 1, DESC_WRITE, 0);
}

/* Does it, and returns the disk's status. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t size, bool in)
{
    describe(type, sector, size, in);
    device_offer(&disk);
    driver_wait();
    return status;
}

/* Words of data that are not first, first + 1, ... from word `from` on. */
static unsigned strangers(unsigned from, unsigned count, uint32_t first)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < count; i++) {
        wrong += data[from + i] != first + i;
    }
    return wrong;
}

static void fill(uint32_t value)
{
    for (unsigned i = 0; i < sizeof data / sizeof data[0]; i++) {
        data[i] = value;
    }
}

static void test_registers(void)
{
    check("a disk is there", device_find(&disk, ID_BLOCK, 0), true);
    check("it offers version 1 and indirect descriptors",
          device_features(&disk) & (FEATURE_VERSION_1 | FEATURE_INDIRECT),
          FEATURE_VERSION_1 | FEATURE_INDIRECT);
    check("it has the file's capacity", reg_read(&disk, REG_CONFIG), SECTORS);
    check("and no more", reg_read(&disk, REG_CONFIG + 4), 0);
    reg_write(&disk, REG_QUEUE_SEL, 0);
    check("its queue holds enough", reg_read(&disk, REG_QUEUE_MAX) >= QUEUE, true);
    reg_write(&disk, REG_QUEUE_SEL, 63);
    check("there is no queue 63", reg_read(&disk, REG_QUEUE_MAX), 0);
    check("it starts", device_start(&disk, FEATURE_VERSION_1 | FEATURE_INDIRECT), true);
    check("its queue is ready", reg_read(&disk, REG_QUEUE_READY), 1);
    check("its status says so", reg_read(&disk, REG_STATUS), 15);
}

static void test_reading(void)
{
    fill(0);
    describe(BLK_IN, 5, SECTOR, true);
    device_offer(&disk);
    check("an interrupt tells of a used buffer", driver_wait(), INTERRUPT_USED);
    check("one of them", driver_interrupts(), 1);
    check("sector 5 is read", status, BLK_OK);
    check("with its contents", strangers(0, WORDS, 5), 0);
    check("and nothing behind it", data[WORDS], 0);
    check("one buffer is used", disk.used.idx, 1);
    check("which is chain 0", disk.used.ring[0].id, 0);
    check("with data and status", device_written(&disk), SECTOR + 1);
    check("8 sectors are read", request(BLK_IN, SECTORS - 8, 8 * SECTOR, true), BLK_OK);
    check("to the last one", strangers(7 * WORDS, WORDS, SECTORS - 1), 0);
}

static void test_writing(void)
{
    for (unsigned i = 0; i < 3 * WORDS; i++) {
        data[i] = 0xabcd0000 + i;
    }
    check("3 sectors are written", request(BLK_OUT, 10, 3 * SECTOR, false), BLK_OK);
    check("a flush is done", request(BLK_FLUSH, 0, 0, false), BLK_OK);
    fill(0);
    check("5 sectors are read back", request(BLK_IN, 9, 5 * SECTOR, true), BLK_OK);
    check("the one before is as it was", strangers(0, WORDS, 9), 0);
    check("the written ones are written", strangers(WORDS, 3 * WORDS, 0xabcd0000), 0);
    check("the one behind is as it was", strangers(4 * WORDS, WORDS, 13), 0);
    data[0] = 11; /* sector, 1 sector, no flags */
    data[1] = 0;
    data[2] = 1;
    data[3] = 0;
    check("zeroes are written", request(BLK_WRITE_ZEROES, 0, 16, false), BLK_OK);
    check("and read", request(BLK_IN, 10, 3 * SECTOR, true), BLK_OK);
    unsigned wrong = 0;
    for (unsigned i = 0; i < WORDS; i++) {
        wrong += data[WORDS + i] != 0;
    }
    check("as zeroes", wrong, 0);
    check("and only there", strangers(2 * WORDS, WORDS, 0xabcd0000 + 2 * WORDS), 0);
}

/* The same request in pieces, and through an indirect table. */
static void test_chains(void)
{
    fill(0);
    describe(BLK_IN, 20, SECTOR, true);
    device_describe(&disk, 0, &header, 8, DESC_NEXT, 3);
    device_describe(&disk, 3, (const volatile uint8_t *)&header + 8, 8, DESC_NEXT, 1);
    device_describe(&disk, 1, data, 100, DESC_NEXT | DESC_WRITE, 4);
    device_describe(&disk, 4, (volatile uint8_t *)data + 100, SECTOR - 100, DESC_NEXT | DESC_WRITE, 2);
    device_offer(&disk);
    driver_wait();
    check("a chain of 5 pieces is served", status, BLK_OK);
    check("with its contents", strangers(0, WORDS, 20), 0);
    fill(0);
    describe(BLK_IN, 21, SECTOR, true);
    for (unsigned i = 0; i < 3; i++) {
        table[i] = *(struct desc *)&disk.desc[i];
    }
    device_describe(&disk, 0, table, 3 * sizeof table[0], DESC_INDIRECT, 0);
    device_offer(&disk);
    driver_wait();
    check("an indirect table is served", status, BLK_OK);
    check("with its contents", strangers(0, WORDS, 21), 0);
}

static void test_refusals(void)
{
    static const char id[] = "orrery-disk-0";
    check("a sector behind the last is refused", request(BLK_IN, SECTORS, SECTOR, true), BLK_IOERR);
    check("so is one more than there are", request(BLK_OUT, SECTORS - 1, 2 * SECTOR, false), BLK_IOERR);
    check("a request of no known kind is refused", request(99, 0, SECTOR, true), BLK_UNSUPP);
    check("the disk tells its name", request(BLK_ID, 0, 20, true), BLK_OK);
    unsigned wrong = 0;
    for (unsigned i = 0; i < sizeof id; i++) {
        wrong += ((const volatile char *)data)[i] != id[i];
    }
    check("which is its name", wrong, 0);
}

static void test_without_interrupt(void)
{
    unsigned before = driver_interrupts(), rounds = 0;
    uint16_t idx = disk.used.idx;
    disk.avail.flags = 1;
    describe(BLK_IN, 1, SECTOR, true);
    device_offer(&disk);
    while (disk.used.idx == idx && rounds < WAIT_ROUNDS) {
        __asm__ volatile("pause" : : : "memory");
        rounds++;
    }
    check("a request that wants no interrupt is served", status, BLK_OK);
    check("without one", reg_read(&disk, REG_INTERRUPT_STATUS), 0);
    __asm__ volatile("sti; nop; cli");
    check("really", driver_interrupts(), before);
    disk.avail.flags = 0;
}

static void test_broken_chain(void)
{
    describe(BLK_IN, 1, SECTOR, true);
    device_describe(&disk, 2, &status, 1, DESC_WRITE | DESC_NEXT, 0);
    device_offer(&disk);
    check("a loop is told as a change of configuration", driver_wait() & INTERRUPT_CONFIG, INTERRUPT_CONFIG);
    check("the device needs a reset", reg_read(&disk, REG_STATUS) & NEEDS_RESET, NEEDS_RESET);
    check("it starts again", device_start(&disk, FEATURE_VERSION_1), true);
    check("and needs none", reg_read(&disk, REG_STATUS), 15);
    check("it reads", request(BLK_IN, 2, SECTOR, true), BLK_OK);
    check("with its contents", strangers(0, WORDS, 2), 0);
}

static void test_entropy(void)
{
    check("an entropy source is there", device_find(&source, ID_ENTROPY, 0), true);
    check("it starts", device_start(&source, FEATURE_VERSION_1), true);
    fill(0);
    device_describe(&source, 0, data, 64, DESC_WRITE, 0);
    device_offer(&source);
    check("it interrupts", driver_wait(), INTERRUPT_USED);
    check("it has written", device_written(&source) > 0 && device_written(&source) <= 64, true);
    check("something", (data[0] | data[1]) != 0, true);
    check("but not behind the buffer", data[16], 0);
}

void bench_main(const struct start_info *info)
{
    (void)info;
    out8(COM1_LCR, LCR_8BITS);
    driver_init();
    test_registers();
    test_reading();
    test_writing();
    test_chains();
    test_refusals();
    test_without_interrupt();
    test_broken_chain();
    test_entropy();
    leave();
}
