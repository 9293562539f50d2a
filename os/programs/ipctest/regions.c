/* Shared regions from the user's side. A fault that must end its process does so in a child. */
#include "ipctest.h"

#include "lib/tap.h"

static handle_t region;

volatile uint64_t *map_region(handle_t handle, uint64_t pages, uint64_t flags)
{
    int64_t at = sys_region_map(handle, 0, pages * PAGE, 0, flags);
    return at > 0 ? (volatile uint64_t *)(uintptr_t)at : NULL;
}

static int adds_to_every_page(void)
{
    volatile uint64_t *words = map_region(region, 8, PROTECT_READ | PROTECT_WRITE);
    for (unsigned i = 0; words != NULL && i < 8; i++) {
        words[i * PAGE / 8] += i + 1;
    }
    return words != NULL ? 0 : 1;
}

/* covers: IP-06, IP-04, IP-05 (share), CP-17 */
static bool test_regions_are_shared(void)
{
    region = (handle_t)sys_region_create(8 * PAGE - 100, -1);
    volatile uint64_t *words = map_region(region, 8, PROTECT_READ | PROTECT_WRITE);
    EXPECT(words != NULL);
    for (unsigned i = 0; i < 8; i++) {
        EXPECT(words[i * PAGE / 8] == 0);
        words[i * PAGE / 8] = 100;
    }
    EXPECT(tap_status(tap_child(adds_to_every_page)) == 0);
    for (unsigned i = 0; i < 8; i++) {
        EXPECT(words[i * PAGE / 8] == 101 + i);
    }
    int64_t pid = sys_fork(); /* a mapping is shared with children as well */
    if (pid == 0) {
        words[0] = 7;
        sys_exit(0);
    }
    EXPECT(tap_status(pid) == 0 && words[0] == 7);
    struct region_info info;
    EXPECT(sys_region_info(region, &info) == STATUS_OK);
    EXPECT(info.bytes == 8 * PAGE && info.mappings == 1 && info.resident == 8 && info.sealed == 0);
    EXPECT(sys_unmap((uint64_t)(uintptr_t)words, 8 * PAGE) == STATUS_OK);
    EXPECT(sys_region_info(region, &info) == STATUS_OK && info.mappings == 0 && info.resident == 0);
    return true;
}

/* covers: IP-07, CP-17 */
static bool test_requests_are_checked_against_the_region(void)
{
    const uint64_t at = 0x40000000;
    const uint64_t rw = PROTECT_READ | PROTECT_WRITE;
    static const struct {
        uint64_t offset_pages;
        uint64_t bytes;
        int64_t status; /* 0: works */
    } cases[] = {
        {0, 4 * PAGE, 0},
        {0, 4 * PAGE + 1, STATUS_ERR_RANGE},
        {0, 5 * PAGE, STATUS_ERR_RANGE},
        {1, 3 * PAGE, 0},
        {1, 3 * PAGE + 1, STATUS_ERR_RANGE},
        {3, PAGE, 0},
        {3, PAGE + 1, STATUS_ERR_RANGE},
        {4, 1, STATUS_ERR_RANGE},
        {5, 1, STATUS_ERR_RANGE},
        {0, 0, STATUS_ERR_RANGE},
        {0, 1, 0},
        {3, UINT64_MAX, STATUS_ERR_RANGE},
        {UINT64_MAX / PAGE, PAGE, STATUS_ERR_RANGE},
    };
    region = (handle_t)sys_region_create(4 * PAGE, -1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t got =
            sys_region_map(region, at, cases[i].bytes, cases[i].offset_pages * PAGE, rw | MAP_EXACT);
        EXPECT(got == (cases[i].status == 0 ? (int64_t)at : cases[i].status));
        EXPECT(got < 0 || sys_region_map(region, at, PAGE, 0, rw | MAP_EXACT) == STATUS_ERR_EXISTS);
        EXPECT(got < 0 || sys_unmap(at, cases[i].bytes) == STATUS_OK);
    }
    EXPECT(sys_region_map(region, at, PAGE, 1, rw) == STATUS_ERR_UNALIGNED);
    EXPECT(sys_region_map(region, at + 1, PAGE, 0, rw) == STATUS_ERR_UNALIGNED);
    EXPECT(sys_region_map(region, at, PAGE, 0, rw | PROTECT_EXECUTE) == STATUS_ERR_WRITE_EXECUTE);
    EXPECT(sys_region_map(region, at, PAGE, 0, 0x1000) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(sys_region_map(region, at, PAGE, 0, rw | 7u << MAP_CACHE_SHIFT) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_region_map(endpoint, at, PAGE, 0, rw) == STATUS_ERR_CAP_TYPE);
    for (uint64_t cache = 0; cache <= 5; cache++) {
        volatile uint64_t *words = map_region(region, 1, rw | cache << MAP_CACHE_SHIFT);
        EXPECT(words != NULL && words[0] == cache * 3);
        words[0] += 3;
        uint64_t other = (cache + 1) % 6 << MAP_CACHE_SHIFT;
        EXPECT(sys_region_map(region, 0, PAGE, 0, rw | other) == STATUS_ERR_STATE);
        EXPECT(sys_unmap((uint64_t)(uintptr_t)words, PAGE) == STATUS_OK);
    }
    EXPECT(sys_region_create(0, -1) == STATUS_ERR_RANGE && sys_region_create(PAGE, 9) == STATUS_ERR_RANGE);
    EXPECT(sys_region_create(REGION_MAX_BYTES + 1, -1) == STATUS_ERR_RANGE);
    return true;
}

/* Gets a region that may only be read: maps it, cannot write to it, but to a copy. */
static int only_reads(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_receive(endpoint, &m) != STATUS_OK || ipc_tag_handles(m.tag) != 1) {
        return 1;
    }
    volatile uint64_t *words = map_region(m.words[0], 2, PROTECT_READ);
    if (words == NULL || map_region(m.words[0], 2, PROTECT_READ | PROTECT_WRITE) != NULL || words[1] != 11 ||
        sys_protect((uint64_t)(uintptr_t)words, PAGE, PROTECT_READ | PROTECT_WRITE) !=
            STATUS_ERR_PROTECTION ||
        sys_region_seal(m.words[0]) != STATUS_ERR_CAP_RIGHTS) {
        return 2;
    }
    volatile uint64_t *copy = map_region(m.words[0], 2, PROTECT_READ | PROTECT_WRITE | MAP_COPY);
    if (copy == NULL || copy[1] != 11) {
        return 3;
    }
    copy[1] = 12;
    copy[PAGE / 8] = 13;
    if (copy[1] != 12 || words[1] != 11 || words[PAGE / 8] != 0) {
        return 4;
    }
    words[1] = 5; /* ends the program */
    return 5;
}

/* covers: IP-05 (copy-on-write), IP-07 (permissions) */
static bool test_a_mapping_can_do_what_its_capability_can(void)
{
    EXPECT(make_endpoint());
    region = (handle_t)sys_region_create(2 * PAGE, -1);
    volatile uint64_t *words = map_region(region, 2, PROTECT_READ | PROTECT_WRITE);
    words[1] = 11;
    int64_t pid = tap_child(only_reads);
    struct ipc_registers m = message(0, 1, 1, IPC_FOREVER);
    m.words[0] = region | (uint64_t)RIGHT_WRITE << IPC_REMOVE_SHIFT;
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_OK);
    EXPECT(tap_status(pid) == STATUS_KILLED_BASE + 14);
    EXPECT(words[1] == 11 && words[PAGE / 8] == 0);
    return true;
}

static int writes_after_the_seal(void)
{
    volatile uint64_t *words = map_region(region, 1, PROTECT_READ | PROTECT_WRITE);
    words[0] = 1;
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_call(endpoint, &m) != STATUS_OK) { /* the parent seals */
        return 1;
    }
    if (words[0] != 1) {
        return 2;
    }
    words[0] = 2;
    return words[0] == 2 ? 0 : 3;
}

/* covers: IP-05 (copy-on-write) */
static bool test_a_sealed_region_does_not_change(void)
{
    EXPECT(make_endpoint());
    region = (handle_t)sys_region_create(PAGE, -1);
    volatile uint64_t *words = map_region(region, 1, PROTECT_READ | PROTECT_WRITE);
    words[1] = 9;
    int64_t pid = tap_child(writes_after_the_seal);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK && words[0] == 1);
    EXPECT(sys_region_seal(region) == STATUS_OK);
    m = message(0, 0, 0, 0);
    EXPECT(sys_ipc_reply(0, &m) == STATUS_OK);
    EXPECT(tap_status(pid) == 0 && words[0] == 1);
    words[0] = 3;
    volatile uint64_t *again = map_region(region, 1, PROTECT_READ);
    EXPECT(words[0] == 3 && again[0] == 1 && again[1] == 9);
    return true;
}

static volatile uint64_t *given_up;

static void touch_what_was_given_up(void)
{
    given_up[0] = 1;
}

static int takes_a_region(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_receive(endpoint, &m) != STATUS_OK) {
        return 1;
    }
    volatile uint64_t *words = map_region(m.words[0], 1, PROTECT_READ | PROTECT_WRITE);
    return words != NULL && words[0] == 77 ? 0 : 2;
}

/* covers: VM-16 (the sender's mapping goes first), VM-14 (denied), IP-05 (move) */
static bool test_a_moved_region_is_gone_from_its_sender(void)
{
    EXPECT(make_endpoint());
    region = (handle_t)sys_region_create(PAGE, -1);
    given_up = map_region(region, 1, PROTECT_READ | PROTECT_WRITE);
    given_up[0] = 77;
    struct ipc_registers m = message(0, 1, 1, 0);
    m.words[0] = region | IPC_MOVE;
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_ERR_AGAIN); /* not delivered, but given up and back */
    int64_t pid = sys_fork();
    if (pid == 0) {
        touch_what_was_given_up();
        sys_exit(0);
    }
    EXPECT(tap_status(pid) == STATUS_KILLED_BASE + 14);
    region = m.words[0];
    struct region_info info;
    EXPECT(sys_region_info(region, &info) == STATUS_OK && info.resident == 0 && info.denied > 0);
    int64_t taker = tap_child(takes_a_region);
    m = message(0, 1, 1, IPC_FOREVER);
    m.words[0] = region | IPC_MOVE;
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_OK && m.words[0] != 0);
    return tap_status(taker) == 0;
}

static int touches_after_the_revocation(void)
{
    volatile uint64_t *words = map_region(region, 1, PROTECT_READ | PROTECT_WRITE);
    words[0] = 5;
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    (void)sys_ipc_call(endpoint, &m); /* meanwhile the parent revokes */
    words[0] = 6;
    return 1;
}

/* Records of denials by a revoked capability so far. */
static unsigned denials_on_record(void)
{
    static struct cap_audit records[64];
    unsigned denials = 0;
    uint64_t from = 0;
    int64_t count;
    while ((count = sys_audit_read(from, records, 64)) > 0) {
        for (int64_t i = 0; i < count; i++) {
            denials += records[i].event == CAP_EVENT_DENY && records[i].status == STATUS_ERR_CAP_REVOKED;
        }
        from = records[count - 1].sequence + 1;
    }
    return denials;
}

/* covers: VM-14, CP-17 (fault handler) */
static bool test_a_fault_in_a_revoked_region_is_denied_and_on_record(void)
{
    EXPECT(make_endpoint());
    region = (handle_t)sys_region_create(PAGE, -1);
    volatile uint64_t *words = map_region(region, 1, PROTECT_READ | PROTECT_WRITE);
    unsigned before = denials_on_record();
    int64_t pid = tap_child(touches_after_the_revocation);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK && words[0] == 5);
    EXPECT(sys_cap_revoke(region) == 1);
    m = message(0, 0, 0, 0);
    EXPECT(sys_ipc_reply(0, &m) == STATUS_OK);
    EXPECT(tap_status(pid) == STATUS_KILLED_BASE + 14);
    EXPECT(words[0] == 5 && denials_on_record() == before + 1);
    words[0] = 7; /* who has revoked goes on */
    return true;
}

static int leaves_regions(void)
{
    for (unsigned i = 0; i < 10; i++) {
        region = (handle_t)sys_region_create(20 * PAGE, -1);
        volatile uint64_t *words = map_region(region, 20, PROTECT_READ | PROTECT_WRITE);
        int64_t pid = sys_fork();
        for (unsigned p = 0; p < 20; p += i + 1) {
            words[p * PAGE / 8] = p;
        }
        if (pid == 0) {
            sys_exit(0);
        }
        if (i % 2 == 0 && sys_unmap((uint64_t)(uintptr_t)words + 5 * PAGE, 3 * PAGE) != STATUS_OK) {
            return 1;
        }
        (void)tap_status(pid);
    }
    return 0;
}

/* ---- the states of a mapping, mode by mode ---- */

static bool figures_are(uint64_t mappings, uint64_t resident, uint64_t sealed)
{
    struct region_info info;
    return sys_region_info(region, &info) == STATUS_OK && info.mappings == mappings &&
           info.resident == resident && info.sealed == sealed;
}

static bool unmap_one(volatile uint64_t *words)
{
    return sys_unmap((uint64_t)(uintptr_t)words, PAGE) == STATUS_OK;
}

/* Unmapped, mapped, read, written, unmapped, mapped again: the other mapping sees every write. */
static bool share_states(volatile uint64_t *base)
{
    EXPECT(figures_are(1, 1, 0));
    volatile uint64_t *words = map_region(region, 1, PROTECT_READ | PROTECT_WRITE);
    EXPECT(words != NULL && figures_are(2, 1, 0));
    EXPECT(words[0] == 1 && figures_are(2, 2, 0));
    words[0] = 2;
    EXPECT(base[0] == 2 && figures_are(2, 2, 0));
    EXPECT(unmap_one(words) && figures_are(1, 1, 0));
    words = map_region(region, 1, PROTECT_READ);
    return words != NULL && words[0] == 2 && unmap_one(words) && figures_are(1, 1, 0);
}

/* The same by copy: from the first write on neither sees the other, and what was written goes with the mapping. */
static bool copy_states(volatile uint64_t *base)
{
    volatile uint64_t *words = map_region(region, 1, PROTECT_READ | PROTECT_WRITE | MAP_COPY);
    EXPECT(words != NULL && words[0] == 2);
    words[0] = 3;
    EXPECT(words[0] == 3 && base[0] == 2);
    base[0] = 4;
    EXPECT(words[0] == 3 && base[0] == 4);
    EXPECT(unmap_one(words) && base[0] == 4);
    words = map_region(region, 1, PROTECT_READ | PROTECT_WRITE | MAP_COPY);
    return words != NULL && words[0] == 4 && unmap_one(words) && figures_are(1, 1, 0);
}

/* Takes the region, adds one, and gives it back. */
static int adds_and_returns(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_receive(endpoint, &m) != STATUS_OK || ipc_tag_handles(m.tag) != 1) {
        return 1;
    }
    handle_t got = m.words[0];
    volatile uint64_t *words = map_region(got, 1, PROTECT_READ | PROTECT_WRITE);
    if (words == NULL || words[0] != 4) {
        return 2;
    }
    words[0]++;
    m = message(0, 1, 1, 0);
    m.words[0] = got | IPC_MOVE;
    int64_t status = sys_ipc_reply(0, &m);
    bool gone = sys_console_write((const char *)(uintptr_t)words, 1) == STATUS_ERR_CAP_INVALID;
    return status == STATUS_OK && gone && own_id(got) == 0 ? 0 : 3;
}

/* Given away it is mapped by nobody before the other maps it; it comes back the same way. */
static bool move_states(volatile uint64_t *base)
{
    int64_t pid = tap_child(adds_and_returns);
    struct ipc_registers m = message(0, 1, 1, IPC_FOREVER);
    m.words[0] = region | IPC_MOVE;
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK && ipc_tag_handles(m.tag) == 1);
    EXPECT(sys_console_write((const char *)(uintptr_t)base, 1) == STATUS_ERR_CAP_INVALID &&
           own_id(region) == 0);
    region = m.words[0];
    EXPECT(tap_status(pid) == 0 && sys_quiesce() == STATUS_OK);
    EXPECT(figures_are(1, 0, 0) && unmap_one(base) &&
           figures_are(0, 0, 0)); /* its place stays until it is unmapped */
    base = map_region(region, 1, PROTECT_READ | PROTECT_WRITE);
    return base != NULL && base[0] == 5 && figures_are(1, 1, 0);
}

/* covers: IP-05 */
static bool test_each_mode_goes_through_its_states(void)
{
    EXPECT(make_endpoint());
    region = (handle_t)sys_region_create(PAGE, -1);
    EXPECT(figures_are(0, 0, 0));
    volatile uint64_t *base = map_region(region, 1, PROTECT_READ | PROTECT_WRITE);
    EXPECT(base != NULL && figures_are(1, 0, 0));
    base[0] = 1;
    EXPECT(share_states(base) && copy_states(base) && move_states(base));
    struct region_info info;
    EXPECT(sys_region_seal(region) == STATUS_OK && sys_region_info(region, &info) == STATUS_OK);
    volatile uint64_t *sealed = map_region(region, 1, PROTECT_READ);
    return info.sealed == 1 && info.mappings == 1 && sealed != NULL && sealed[0] == 5;
}

/* covers: IP-08 */
static bool test_an_end_gives_regions_back(void)
{
    EXPECT(tap_status(tap_child(leaves_regions)) == 0);
    uint64_t before = tap_free_frames();
    for (unsigned i = 0; i < 5; i++) {
        EXPECT(tap_status(tap_child(leaves_regions)) == 0);
    }
    EXPECT(tap_free_frames() == before);
    return true;
}

const struct tap_test region_tests[] = {
    {"regions_are_shared", test_regions_are_shared},
    {"requests_are_checked_against_the_region", test_requests_are_checked_against_the_region},
    {"a_mapping_can_do_what_its_capability_can", test_a_mapping_can_do_what_its_capability_can},
    {"a_sealed_region_does_not_change", test_a_sealed_region_does_not_change},
    {"a_moved_region_is_gone_from_its_sender", test_a_moved_region_is_gone_from_its_sender},
    {"a_moved_page_has_no_writer_left", test_a_moved_page_has_no_writer_left},
    {"a_fault_in_a_revoked_region_is_denied_and_on_record",
     test_a_fault_in_a_revoked_region_is_denied_and_on_record},
    {"an_end_gives_regions_back", test_an_end_gives_regions_back},
    {"each_mode_goes_through_its_states", test_each_mode_goes_through_its_states},
};

const unsigned region_test_count = sizeof(region_tests) / sizeof(region_tests[0]);
