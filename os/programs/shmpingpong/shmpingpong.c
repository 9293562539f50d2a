/*
 * shmpingpong: two processes hand a buffer in a shared region to each other, by a word that both watch and by a
 * notification when the other one is slow. The buffer is 64 KiB: nothing of it is copied. Prints cycles a round.
 * Options: --rounds N.
 */
#include "lib/tap.h"

#define BUFFER_BYTES 65536u
#define WORDS        (BUFFER_BYTES / sizeof(uint64_t))
#define STRIDE       64u /* words of the buffer that a turn looks at: one a stride */
#define LOOKS        2000u

struct table {
    uint64_t turn; /* even: the parent's */
    uint64_t buffer[WORDS] __attribute__((aligned(4096)));
};

static struct table *table;
static handle_t bells[2]; /* notification of the parent, of the child */
static uint64_t rounds = 500;

/* Waits for a turn: looks for a while, then sleeps until the other one rings. */
static bool wait_turn(uint64_t turn)
{
    for (unsigned look = 0; __atomic_load_n(&table->turn, __ATOMIC_ACQUIRE) != turn; look++) {
        uint64_t bits;
        if (look >= LOOKS && sys_notification_wait(bells[turn % 2], 1, &bits, IPC_FOREVER) != STATUS_OK) {
            return false;
        }
        __asm__ volatile("pause");
    }
    return true;
}

static bool pass_turn(uint64_t turn)
{
    __atomic_store_n(&table->turn, turn + 1, __ATOMIC_RELEASE);
    return sys_notification_signal(bells[(turn + 1) % 2], 1) == STATUS_OK;
}

/* What the buffer holds in a turn, at a word. */
static uint64_t content(uint64_t turn, uint64_t word)
{
    return turn * 0x9e3779b97f4a7c15ull + word;
}

/* One side: in each of its turns it checks what the other one has written and writes anew. */
static bool play(uint64_t side)
{
    for (uint64_t turn = side; turn < 2 * rounds; turn += 2) {
        if (!wait_turn(turn)) {
            return false;
        }
        for (uint64_t word = 0; word < WORDS; word += STRIDE) {
            if (turn != 0 && table->buffer[word] != content(turn - 1, word)) {
                return false;
            }
            table->buffer[word] = content(turn, word);
        }
        if (!pass_turn(turn)) {
            return false;
        }
    }
    return true;
}

static int child(void)
{
    return play(1) ? 0 : 1;
}

/* covers: IP-04 (64 KiB handed over without a copy), IP-05 (share) */
static bool test_a_buffer_goes_to_and_fro(void)
{
    int64_t pid = tap_child(child);
    uint64_t start = cycles();
    EXPECT(play(0) && wait_turn(2 * rounds));
    uint64_t spent = cycles() - start;
    EXPECT(tap_status(pid) == 0);
    print("# %llu rounds with %u bytes, %llu cycles a round\n", (unsigned long long)rounds, BUFFER_BYTES,
          (unsigned long long)(spent / rounds));
    return true;
}

static bool prepare(void)
{
    handle_t region = (handle_t)sys_region_create(sizeof(struct table), -1);
    int64_t at = sys_region_map(region, 0, sizeof(struct table), 0, PROTECT_READ | PROTECT_WRITE);
    bells[0] = (handle_t)sys_notification_create();
    bells[1] = (handle_t)sys_notification_create();
    table = at > 0 ? (struct table *)at : NULL;
    return table != NULL && (int64_t)bells[0] > 0 && (int64_t)bells[1] > 0;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    static const struct tap_test tests[] = {{"a_buffer_goes_to_and_fro", test_a_buffer_goes_to_and_fro}};
    const struct tap_group group = {tests, 1};
    if (argc == 3 && strcmp(argv[1], "--rounds") == 0 && parse_number(argv[2]) > 0) {
        rounds = (uint64_t)parse_number(argv[2]);
    } else if (argc != 1) {
        print("shmpingpong: usage: shmpingpong [--rounds N]\n");
        return 2;
    }
    if (!prepare()) {
        print("shmpingpong: no region or notification\n");
        return 1;
    }
    return tap_run(&group, 1, 1, argv);
}
