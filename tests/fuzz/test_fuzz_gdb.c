/*
 * A hostile debugger: any bytes, and packets that are nearly right. Every packet gets an answer that can be sent, the machine's
 * invariants hold, and the session goes on.
 */

#include "fuzz.h"

#include "gdb/session.h"
#include "guest_busy.h"

#define LIMIT_CYCLES UINT64_C(60000)

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Words of the protocol, each with places for numbers. */
static const char *const words[] = {
    "g",
    "G",
    "p%llx",
    "P%llx=%llx",
    "m%llx,%llx",
    "M%llx,%llx:0011",
    "X%llx,%llx:ab",
    "H%c%llx",
    "Z%llu,%llx,%llx",
    "z%llu,%llx,%llx",
    "vCont;s:%llx",
    "vCont;r%llx,%llx:1;c",
    "vCont;c",
    "bs",
    "bc",
    "c",
    "s",
    "T%llx",
    "qXfer:features:read:target.xml:%llx,%llx",
    "qXfer:threads:read::%llx,%llx",
    "qRcmd,%llx",
    "qSupported",
    "?",
    "D",
    "qThreadExtraInfo,%llx",
    "vKill;%llx",
    "Hg%llx",
    "Hc-1",
    "vCont?",
    "QStartNoAckMode",
};

/* Numbers that mean something in the guest, and others. */
static unsigned long long number(struct rng *r)
{
    static const uint64_t places[] = {0, 1, 2, 3, 4, 8, 0x200000, 0x303000, 0x303ffe, 0x308000, 0xfee00000};
    return fuzz_one_in(r, 3) ? fuzz_value(r) : FUZZ_PICK(r, places);
}

static size_t make_packet(struct rng *r, char *packet, size_t size)
{
    const char *word = FUZZ_PICK(r, words);
    size_t length = 0;
    for (; *word && length + 24 < size; word++) {
        if (*word != '%') {
            packet[length++] = *word;
        } else if (word[1] == 'c') {
            packet[length++] = fuzz_one_in(r, 2) ? 'g' : 'c';
            word++;
        } else {
            bool small = word[3] == 'u';
            length +=
                (size_t)snprintf(packet + length, size - length, "%llx", small ? rng_below(r, 7) : number(r));
            word += 3;
        }
    }
    while (fuzz_one_in(r, 4) && length > 0 && length + 1 < size) { /* damage */
        if (fuzz_one_in(r, 3)) {
            length--;
        } else {
            packet[fuzz_below(r, (unsigned)length)] = (char)rng_below(r, 256);
        }
    }
    packet[length] = 0;
    return length;
}

static void answers_can_be_sent(struct gdb_reader *reader, const struct gdb_text *out)
{
    struct gdb_text packet = {0};
    gdb_put_packet(&packet, out);
    enum gdb_event event = GDB_NOTHING;
    for (size_t i = 0; i < packet.size; i++) {
        event = gdb_reader_take(reader, (uint8_t)packet.bytes[i]);
    }
    assert_int_equal(event, GDB_PACKET);
    gdb_text_deinit(&packet);
}

static void session_case(struct rng *r, uint64_t seed, void *arg)
{
    static struct gdb_reader reader;
    struct sim_config c;
    struct gdb_text out = {0};
    (void)seed;
    (void)arg;
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.cpus = 1 + fuzz_below(r, 4);
    struct sim *s = guest_busy_create(&c);
    const struct travel_options history = {.budget_bytes = UINT64_C(4) << 20, .interval_cycles = 5000};
    const struct gdb_options options = {LIMIT_CYCLES, never, NULL};
    struct travel *t = travel_create(s, &history);
    struct gdb_session *g = gdb_session_create(s, t, &options);
    gdb_reader_init(&reader);
    for (unsigned i = 0; i < 30; i++) {
        char packet[200];
        size_t size = make_packet(r, packet, sizeof packet);
        out.size = 0;
        gdb_session_answer(g, (const uint8_t *)packet, size, &out);
        answers_can_be_sent(&reader, &out);
        assert_true(sim_cycles(s) <= LIMIT_CYCLES + 1);
    }
    gdb_session_free(g);
    travel_free(t);
    sim_destroy(s);
    gdb_text_deinit(&out);
}

static void bytes_case(struct rng *r, uint64_t seed, void *arg)
{
    static struct gdb_reader reader;
    (void)seed;
    (void)arg;
    gdb_reader_init(&reader);
    for (unsigned i = 0; i < 40000; i++) {
        uint8_t byte = fuzz_one_in(r, 4000) ? '#' : fuzz_one_in(r, 10) ? '$' : (uint8_t)rng_below(r, 256);
        if (gdb_reader_take(&reader, byte) == GDB_PACKET) {
            assert_true(reader.size <= GDB_PACKET_MAX && reader.data[reader.size] == 0);
        }
    }
}

static void a_hostile_debugger_does_no_harm(void **state)
{
    (void)state;
    fuzz_run("session", 150, session_case, NULL);
}

static void any_bytes_are_read(void **state)
{
    (void)state;
    fuzz_run("bytes", 100, bytes_case, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hostile_debugger_does_no_harm),
        cmocka_unit_test(any_bytes_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
