/*
 * covert: what two processes that share nothing can tell one another by what they do to the kernel. One turns the bits of a
 * secret into actions, the other takes a figure in each turn and guesses the bits from it. They agree on turns: on one CPU
 * each yields to the other, on two each waits for its time. A known run of bits comes first, from which the other learns what
 * to expect. Prints, for who computes the rate (tests/e2e/kernel_covert.lua):
 *
 *     covert: NAME together|apart BITS bits, ERRORS wrong, CYCLES cycles
 *
 * usage: covert CHANNEL together|apart; apart: with what docs/design/security.md says against the channel.
 */
#include <stdbool.h>

#include "lib/orrery.h"

#define PAGE        4096u
#define HUGE        (512u * PAGE)
#define PREAMBLE    16u
#define SECRET      96u
#define BITS        (PREAMBLE + SECRET)
#define HALF        400000u   /* cycles of a turn of each when they are on two CPUs */
#define LEAD        30000000u /* cycles until the first turn */
#define PER_NS      3u
#define READY       300000u /* cycles in which both have woken */
#define HANDLES     64u     /* as many lookups as a CPU remembers */
#define FRAMES      16u     /* twice what a CPU takes from its zone at once */
#define CRUMBS      1024u   /* pages that take what lies about in pieces: of a piece a CPU takes fewer */
#define SPIN        3000u
#define MADE        4u
#define SERVER_LIFE 100000000u /* ns */

static bool together; /* nothing stands against the channel */
static bool one_cpu;
static uint64_t begin; /* of the first turn */
static handle_t own[HANDLES];
static volatile uint8_t *area;
static uint64_t touched;

struct channel {
    const char *name;
    bool (*prepare)(bool sender);
    void (*send)(void);        /* the action of a bit that is 1 */
    uint64_t (*receive)(void); /* the figure that the turn gives */
};

/* ---- turns ---- */

static void wait_until(uint64_t time)
{
    while (cycles() < time) {
        __asm__ volatile("pause");
    }
}

/* Sleeps, so that the other can prepare on the same CPU, then waits awake. Both may have passed: QEMU's CPUs wait for the
 * host's. */
static void await(uint64_t asleep, uint64_t time)
{
    uint64_t now = cycles();
    if (now < asleep) {
        (void)sys_sleep((asleep - now) / PER_NS);
    }
    wait_until(time);
}

/* Ends the turn number `turn` of this process; offset: half turns that it is behind the other. */
static void turn_end(unsigned turn, unsigned offset)
{
    if (one_cpu) {
        sys_yield();
        sys_yield();
    } else {
        wait_until(begin + READY + (2ull * (turn + 1) + offset) * HALF);
    }
}

static bool be_strict(unsigned cpu)
{
    const struct sched_params params = {.policy = SCHED_FIFO, .level = 10};
    return sys_sched_affinity(SCHED_THREAD, 0, 1ull << cpu) == STATUS_OK &&
           sys_sched_set(SCHED_THREAD, 0, &params) == STATUS_OK;
}

/* ---- the capability table: identities are given out in one order for all ---- */

static bool prepare_identities(bool sender)
{
    (void)sender;
    own[0] = (handle_t)sys_notification_create();
    return (int64_t)own[0] > 0;
}

static void make_some(void)
{
    for (unsigned i = 0; i < MADE; i++) {
        (void)sys_cap_delete((handle_t)sys_cap_copy(own[0]));
    }
}

static uint64_t identities_made(void)
{
    static uint64_t last;
    struct cap_info info = {.id = 0};
    handle_t copy = (handle_t)sys_cap_copy(own[0]);
    (void)sys_cap_read(copy, &info);
    (void)sys_cap_delete(copy);
    uint64_t made = info.id - last;
    last = info.id;
    return made;
}

/* ---- the queue of an endpoint: does its server wait? ---- */

static handle_t endpoints[2];

/* Both may only send. Apart, each has a server of its own. */
static bool prepare_endpoint(bool sender)
{
    own[0] = endpoints[!together && sender];
    return true;
}

static int64_t send_one(void)
{
    struct ipc_registers message = {.tag = ipc_tag(0, 0, 0), .time = 0};
    return sys_ipc_send(own[0], &message);
}

static void occupy_server(void)
{
    (void)send_one();
}

static uint64_t server_is_busy(void)
{
    return send_one() != STATUS_OK;
}

static int serve(handle_t endpoint)
{
    int64_t status = be_strict(0) ? STATUS_OK : STATUS_ERR_STATE;
    while (status == STATUS_OK) {
        struct ipc_registers message = {.tag = 0, .time = SERVER_LIFE};
        status = sys_ipc_receive(endpoint, &message);
    }
    return 0;
}

/* ---- the frame allocator: frames that are left in the CPU's list ---- */

static bool prepare_frames(bool sender)
{
    if (!sender && sys_map(0, CRUMBS * (uint64_t)PAGE, PROTECT_READ | PROTECT_WRITE | MAP_NOW) <= 0) {
        return false;
    }
    uint64_t bytes = (sender ? FRAMES : 2 * FRAMES) * (uint64_t)BITS * PAGE + HUGE;
    int64_t at = sys_map(0, bytes, PROTECT_READ | PROTECT_WRITE);
    if (at <= 0) {
        return false;
    }
    area = (volatile uint8_t *)(uintptr_t)at;
    for (uint64_t offset = 0; offset < bytes; offset += HUGE) {
        area[offset] = 1; /* for the page tables */
    }
    return true;
}

static uint64_t touch_next(void)
{
    touched += touched % (HUGE / PAGE) == 0; /* touched before */
    uint64_t before = cycles();
    area[touched++ * PAGE] = 1;
    return cycles() - before;
}

static void take_frames(void)
{
    for (unsigned i = 0; i < FRAMES / 4; i++) {
        (void)touch_next();
    }
}

/* Faults until one takes longer, because the list is empty. */
static uint64_t frames_left(void)
{
    uint64_t quickest = touch_next();
    for (uint64_t count = 1; count < 2 * FRAMES; count++) {
        uint64_t took = touch_next();
        if (took > quickest + quickest / 5) {
            return count;
        }
        quickest = took < quickest ? took : quickest;
    }
    return 2 * FRAMES;
}

/* ---- a cache: the lookups that a CPU remembers ---- */

static bool prepare_lookups(bool sender)
{
    (void)sender;
    own[0] = (handle_t)sys_notification_create();
    for (unsigned i = 1; i < HANDLES; i++) {
        own[i] = (handle_t)sys_cap_copy(own[0]);
    }
    return (int64_t)own[0] > 0 && (int64_t)own[HANDLES - 1] > 0;
}

static void look_up_some(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        (void)sys_notification_signal(own[i], 1);
    }
}

static void look_up_all(void)
{
    look_up_some(HANDLES);
}

static uint64_t time_of_lookups(void)
{
    uint64_t before = cycles();
    look_up_some(HANDLES / 8); /* few, which leave one another their places */
    return cycles() - before;
}

/* ---- the processor: how long the other had it ---- */

static bool prepare_nothing(bool sender)
{
    (void)sender;
    return true;
}

static void use_processor(void)
{
    wait_until(cycles() + SPIN);
}

static uint64_t time_away(void)
{
    static uint64_t last;
    uint64_t now = cycles();
    uint64_t away = now - last;
    last = now;
    return away;
}

static const struct channel channels[] = {
    {"identities", prepare_identities, make_some, identities_made},
    {"endpoint", prepare_endpoint, occupy_server, server_is_busy},
    {"frames", prepare_frames, take_frames, frames_left},
    {"lookups", prepare_lookups, look_up_all, time_of_lookups},
    {"processor", prepare_nothing, use_processor, time_away},
};

/* ---- both sides ---- */

/* The preamble alternates; the secret is that of a linear congruential generator. */
static bool bit_at(unsigned i)
{
    uint64_t state = 88172645463325252ull;
    for (unsigned n = PREAMBLE; n <= i; n++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
    }
    return i < PREAMBLE ? i % 2 != 0 : state >> 63 != 0;
}

static int send_all(const struct channel *channel)
{
    static bool secret[BITS];
    for (unsigned i = 0; i < BITS; i++) {
        secret[i] = bit_at(i);
    }
    if (!channel->prepare(true) || !be_strict(!one_cpu)) {
        return 1;
    }
    await(begin, begin + READY); /* meanwhile the other has woken, and comes after it */
    for (unsigned i = 0; i < BITS; i++) {
        if (secret[i]) {
            channel->send();
        }
        turn_end(i, 0);
    }
    return 0;
}

/* How many bits of the secret a reader of the figures guesses wrong who knows the preamble. */
static unsigned count_errors(const uint64_t *figures)
{
    uint64_t sum[2] = {0, 0};
    for (unsigned i = 2; i < PREAMBLE; i++) { /* the first ones are of a start */
        sum[i % 2] += figures[i];
    }
    const uint64_t half = PREAMBLE / 2 - 1;
    unsigned errors = 0;
    for (unsigned i = PREAMBLE; i < BITS; i++) {
        bool high = 2 * half * figures[i] > sum[0] + sum[1];
        errors += (high == (sum[1] > sum[0])) != bit_at(i);
    }
    return errors;
}

static int receive_all(const struct channel *channel)
{
    static uint64_t figures[BITS];
    if (!channel->prepare(false) || !be_strict(0)) {
        return 1;
    }
    await(begin + READY / 2, one_cpu ? 0 : begin + READY + HALF);
    (void)channel->receive();
    uint64_t before = cycles();
    for (unsigned i = 0; i < BITS; i++) {
        figures[i] = channel->receive();
        turn_end(i, 1);
    }
    uint64_t took = cycles() - before;
    print("covert: %s %s %u bits, %u wrong, %llu cycles\n", channel->name, together ? "together" : "apart",
          SECRET, count_errors(figures), (unsigned long long)(took * SECRET / BITS));
    return 0;
}

static bool ended_well(int64_t pid)
{
    int status = -1;
    return pid > 0 && sys_wait((unsigned)pid, &status, 0) == pid && status == 0;
}

/* A server for each endpoint; they end when nobody has sent for a while. */
static void start_servers(int64_t pids[2])
{
    for (unsigned i = 0; i < 2; i++) {
        endpoints[i] = (handle_t)sys_endpoint_create(0);
        pids[i] = sys_fork();
        if (pids[i] == 0) {
            sys_exit(serve(endpoints[i]));
        }
    }
}

static bool run(const struct channel *channel)
{
    bool served = channel->prepare == prepare_endpoint;
    int64_t servers[2] = {0, 0};
    if (served) {
        start_servers(servers);
        sys_sleep(1000000);
    }
    one_cpu = together || served; /* a server for each is what stands against that channel */
    begin = cycles() + LEAD;
    int64_t sender = sys_fork();
    if (sender == 0) {
        sys_exit(send_all(channel));
    }
    int64_t receiver = sys_fork();
    if (receiver == 0) {
        sys_exit(receive_all(channel));
    }
    bool good = ended_well(sender);
    good = ended_well(receiver) && good;
    for (unsigned i = 0; i < 2 && served; i++) {
        good = ended_well(servers[i]) && good;
    }
    return good;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    for (unsigned i = 0; argc == 3 && i < sizeof(channels) / sizeof(channels[0]); i++) {
        if (strcmp(argv[1], channels[i].name) == 0) {
            together = strcmp(argv[2], "together") == 0;
            return run(&channels[i]) ? 0 : 1;
        }
    }
    print("usage: covert identities|endpoint|frames|lookups|processor together|apart\n");
    return 2;
}
