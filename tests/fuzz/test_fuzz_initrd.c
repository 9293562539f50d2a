/*
 * The guest kernel with a damaged initrd: broken archive headers, broken program files. It may run, or say in a panic
 * that it found nothing to start; a panic that is an exception in the kernel is a defect of the kernel.
 */

#include "fuzz.h"

#include "base/bits.h"
#include "machine/sim.h"

#define KERNEL_FILE "build/os/orrery.elf"
#define INITRD_FILE "build/os/initrd.cpio"
#define RUN_CYCLES  UINT64_C(60000000) /* booting takes about 12 million; commands come after */
#define HEADER      110u

static struct fuzz_file kernel_file, initrd_file;

struct console {
    char text[1 << 16];
    size_t size;
};

static void on_output(void *arg, unsigned port, uint8_t byte, uint64_t now_cycles)
{
    struct console *c = arg;
    (void)now_cycles;
    if (port == 0 && c->size + 1 < sizeof c->text) {
        c->text[c->size++] = (char)byte;
        c->text[c->size] = 0;
    }
}

static uint32_t field(const uint8_t *header, unsigned n)
{
    char text[9] = "";
    memcpy(text, header + 6 + 8 * n, 8);
    return (uint32_t)strtoul(text, NULL, 16);
}

/* The place of member n's header, name and data. */
struct member {
    size_t header, data, data_size;
};

static unsigned list_members(struct member *m, unsigned max)
{
    unsigned count = 0;
    for (size_t at = 0; count < max && at + HEADER < initrd_file.size;) {
        const uint8_t *h = initrd_file.bytes + at;
        size_t data = align_up(at + HEADER + field(h, 11), 4), size = field(h, 6);
        m[count++] = (struct member){at, data, size};
        at = align_up(data + size, 4);
    }
    return count;
}

/* One to three wounds: in a header, in the head of a program file, in a program, anywhere. */
static size_t damage(struct rng *r, uint8_t *bytes, size_t size)
{
    struct member m[32];
    unsigned count = list_members(m, 32);
    assert_true(count > 1);
    for (unsigned n = 1 + fuzz_below(r, 3); n > 0; n--) {
        const struct member *one = &m[fuzz_below(r, count)];
        switch (fuzz_below(r, 4)) {
        case 0: {
            static const char digits[] = "0123456789abcdefF-gx";
            size_t at = one->header + fuzz_below(r, HEADER);
            if (at < size) {
                bytes[at] = (uint8_t)digits[fuzz_below(r, sizeof digits - 1)];
            }
            break;
        }
        case 1:
            size = fuzz_damage(r, bytes, size, one->data, one->data_size < 0x200 ? one->data_size : 0x200);
            break;
        case 2:
            size = fuzz_damage(r, bytes, size, one->data, one->data_size);
            break;
        default:
            size = fuzz_damage(r, bytes, size, 0, size);
            break;
        }
    }
    return size;
}

/* The kernel's own words for an exception that it took itself. */
static bool kernel_exception(const char *text)
{
    const char *panic = strstr(text, "panic: "), *error = panic ? strstr(panic, ", error ") : NULL;
    return error && error < panic + strcspn(panic, "\n");
}

static void initrd_case(struct rng *r, uint64_t seed, void *arg)
{
    static const char command[] = "forkstorm --processes 4 --depth 2\n";
    struct sim_config c;
    struct error e = {""};
    (void)seed;
    (void)arg;
    uint8_t *initrd = fuzz_copy(initrd_file.bytes, initrd_file.size);
    size_t size = damage(r, initrd, initrd_file.size);
    struct console *console = calloc(1, sizeof *console);
    assert_non_null(console);
    struct sim_image image = {KERNEL_FILE, kernel_file.bytes, kernel_file.size, initrd, size, NULL};
    sim_config_init(&c);
    c.cpus = 1 + fuzz_below(r, 2);
    c.memory_bytes = UINT64_C(32) << 20;
    c.seed = rng_next(r);
    struct sim *s = sim_create(&c, &e);
    assert_non_null(s);
    if (!sim_load(s, &image, &e)) {
        fail_msg("%s", e.text);
    }
    sim_on_output(s, on_output, console);
    enum sim_stop stop = sim_run(s, RUN_CYCLES);
    if (stop == SIM_STOP_CYCLES) {
        sim_serial_send(s, 1, command, sizeof command - 1, NULL);
        stop = sim_run(s, 2 * RUN_CYCLES);
    }
    bool bad =
        stop == SIM_STOP_TRIPLE_FAULT || stop == SIM_STOP_NOT_MODELLED || kernel_exception(console->text);
    if (bad || getenv("VERBOSE")) {
        print_message("%s\n%s: %s\n", console->text, sim_stop_name(stop), sim_stop_text(s));
    }
    sim_destroy(s);
    free(console);
    free(initrd);
    if (bad) {
        fail_msg("the guest kernel crashed; again with: %s", fuzz_command);
    }
}

static void a_damaged_initrd_never_crashes_the_guest_kernel(void **state)
{
    (void)state;
    kernel_file = fuzz_read(KERNEL_FILE);
    initrd_file = fuzz_read(INITRD_FILE);
    if (!kernel_file.bytes || !initrd_file.bytes) {
        print_message("%s or %s is not there: skipped\n", KERNEL_FILE, INITRD_FILE);
        skip();
    }
    fuzz_run("initrd", 25, initrd_case, NULL);
    free(kernel_file.bytes);
    free(initrd_file.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_initrd_never_crashes_the_guest_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
