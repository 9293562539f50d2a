/*
 * captest: what the table of calls says about capabilities, asked of the kernel row by row. The rows come from
 * abi/syscalls.def, so a new call is tried as soon as it has one.
 */
#include "captest.h"

#include "lib/random.h"
#include "lib/thread.h"

#define PORT_FIRST 0x40u /* ports of which nothing is read or written here: the call is refused before */
#define IRQ_LINE   5u
#define WINDOW     0xfeb00000ull /* of virtio devices, or of nothing: mapped, and left alone */
#define RIGHTS     ((unsigned)__builtin_popcount(RIGHTS_ALL))

enum { WHERE_NOWHERE, WHERE_SLOT, WHERE_HANDLE, WHERE_DIRECT };
enum { RESULT_VALUE, RESULT_NEVER, RESULT_MESSAGE };

static const struct row {
    unsigned number;
    unsigned where;
    enum cap_type type;
    unsigned rights;
    unsigned result;
} rows[] = {
#define SYSCALL(number, id, name, place, type, rights, kind, arguments, returns, text) \
    {number, WHERE_##place, CAP_##type, rights, RESULT_##kind},
#include "abi/syscalls.def"
#undef SYSCALL
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- objects of every type that a call can name ---- */

static handle_t make_reply(void)
{
    int64_t endpoint = sys_endpoint_create(0);
    int64_t pid = endpoint > 0 ? sys_fork() : -1;
    struct ipc_registers m = {.time = IPC_FOREVER};
    if (pid == 0) {
        (void)sys_ipc_call((handle_t)endpoint, &m); /* until this process ends */
        sys_exit(0);
    }
    bool called = pid > 0 && sys_ipc_receive((handle_t)endpoint, &m) == STATUS_OK;
    return called ? (handle_t)sys_ipc_reply_save() : 0;
}

handle_t make_object(enum cap_type type)
{
    switch ((int)type) {
    case CAP_ENDPOINT:
        return (handle_t)sys_endpoint_create(0);
    case CAP_REPLY:
        return make_reply();
    case CAP_CHANNEL:
        return (handle_t)sys_channel_create(4, 0, -1);
    case CAP_REGION:
        return (handle_t)sys_region_create(4096, -1);
    case CAP_PORTS:
        return (handle_t)sys_ports_create(PORT_FIRST, 4);
    case CAP_IRQ:
        return (handle_t)sys_irq_create(IRQ_LINE);
    case CAP_DEVICE:
        return (handle_t)sys_device_create(WINDOW, 4096);
    default:
        return (handle_t)sys_notification_create(); /* for calls that take any type */
    }
}

/* ---- one right less than the call needs ---- */

static unsigned tried;

/* The call with this capability and nothing else of sense; a message is refused whether it waits or not. */
static bool refused(const struct row *row, handle_t handle, uint64_t second)
{
    if (row->result != RESULT_MESSAGE) {
        return syscall6(row->number, handle, second, 0, 0, 0, 0) == STATUS_ERR_CAP_RIGHTS;
    }
    struct ipc_registers at_once = {.time = 0};
    struct ipc_registers waits = {.time = IPC_FOREVER}; /* the short way */
    return syscall_message(row->number, handle, &at_once) == STATUS_ERR_CAP_RIGHTS &&
           syscall_message(row->number, handle, &waits) == STATUS_ERR_CAP_RIGHTS;
}

/* Has a child for calls that are about one. */
static int64_t bystander(void)
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        sys_sleep(3600000000000); /* it is ended */
        sys_exit(0);
    }
    return pid;
}

static void without_a_right(const struct row *row, unsigned right, handle_t object, unsigned rights,
                            int64_t child)
{
    int64_t weak = sys_cap_derive(object, rights & ~right, 0);
    bool good = weak > 0;
    if (row->where == WHERE_SLOT) { /* it has to lie there */
        good = good && sys_cap_delete(row->type) == STATUS_OK &&
               sys_cap_move((handle_t)weak, row->type) > 0 && refused(row, 0, 0) &&
               sys_cap_delete(row->type) == STATUS_OK;
        int64_t again = sys_cap_derive(object, rights, 0);
        good = good && again > 0 && sys_cap_move((handle_t)again, row->type) > 0;
    } else {
        good = good && refused(row, (handle_t)weak, (uint64_t)child) &&
               sys_cap_delete((handle_t)weak) == STATUS_OK;
    }
    tried++;
    if (!good) {
        print("# call %u without right 0x%x\n", row->number, right);
        sys_exit(1);
    }
}

/* Made once: there is one line for interrupts, and it stays taken until the dead are gone. */
static handle_t object_of(enum cap_type type)
{
    static handle_t objects[CAP_TYPE_COUNT];
    if (objects[type] == 0) {
        objects[type] = make_object(type);
    }
    return objects[type];
}

static void try_row(const struct row *row, int64_t child)
{
    struct cap_info info;
    handle_t object =
        row->where == WHERE_SLOT ? (handle_t)sys_cap_derive(row->type, RIGHTS_ALL, 0) : object_of(row->type);
    if ((int64_t)object <= 0 || sys_cap_read(object, &info) != STATUS_OK) {
        print("# no object for call %u\n", row->number);
        sys_exit(2);
    }
    for (unsigned bit = 0; bit < RIGHTS; bit++) {
        if ((row->rights >> bit & 1) != 0) {
            without_a_right(row, 1u << bit, object, info.rights, child);
        }
    }
    if (row->where == WHERE_SLOT) {
        (void)sys_cap_delete(object);
    }
}

static const unsigned protections[][2] = {{PROTECT_READ, RIGHT_READ},
                                          {PROTECT_READ | PROTECT_WRITE, RIGHT_WRITE},
                                          {PROTECT_READ | PROTECT_EXECUTE, RIGHT_EXECUTE}};

enum { OF_DEVICES = 2, OF_REGIONS = 3 }; /* the first of them */

/* The protections of a mapping are rights of the capability of what is mapped, which no row can say. */
static void map_without_a_right(enum cap_type type, unsigned count)
{
    int64_t (*map)(handle_t, uint64_t, uint64_t, uint64_t, uint64_t) =
        type == CAP_DEVICE ? sys_device_map : sys_region_map;
    handle_t object = make_object(type);
    for (unsigned i = 0; i < count; i++) {
        unsigned protection = protections[i][0];
        handle_t weak = (handle_t)sys_cap_derive(object, RIGHTS_ALL & ~protections[i][1], 0);
        bool good = map(weak, 0, 4096, 0, protection) == STATUS_ERR_CAP_RIGHTS &&
                    map(object, 0, 4096, 0, protection) > 0;
        tried++;
        if (!good) {
            print("# mapping type %u with protection %u\n", (unsigned)type, protection);
            sys_exit(3);
        }
    }
}

static void try_every_row(void)
{
    unsigned wanted = OF_REGIONS + OF_DEVICES;
    int64_t child = bystander();
    (void)sys_cap_delete(CAP_ENDPOINT); /* the name server's is none of the objects here */
    for (size_t i = 0; i < ROWS; i++) {
        for (unsigned bit = 0; bit < RIGHTS; bit++) {
            wanted += rows[i].rights >> bit & 1;
        }
        if (rows[i].rights != 0) {
            try_row(&rows[i], child);
        }
    }
    map_without_a_right(CAP_REGION, OF_REGIONS);
    map_without_a_right(CAP_DEVICE, OF_DEVICES);
    (void)sys_process_kill((unsigned)child, 0);
    print("# %u rights of %u calls\n", tried, (unsigned)ROWS);
    sys_exit(tried == wanted && tried >= 50 ? 0 : 4);
}

/* covers: IP-14 CP-29 (each right) */
bool test_every_right_of_every_call_is_needed(void)
{
    EXPECT(tap_in_child(try_every_row) == 0);
    return true;
}

/* ---- the seven errors ---- */

static int64_t of_nothing(void)
{
    return sys_cap_revoke(1ull << 20);
}

static int64_t of_what_was_revoked(void)
{
    int64_t root = sys_notification_create();
    int64_t child = sys_cap_derive((handle_t)root, RIGHTS_ALL, 0);
    return sys_cap_revoke((handle_t)root) == 1 ? sys_notification_signal((handle_t)child, 1) : STATUS_OK;
}

static int64_t of_another_type(void)
{
    return sys_notification_signal(CAP_CONSOLE, 1);
}

static int64_t without_the_right(void)
{
    return sys_cap_copy((handle_t)sys_cap_derive(CAP_CONSOLE, RIGHT_READ, 0));
}

static int64_t beyond_the_limit(void)
{
    int64_t status = STATUS_OK;
    for (unsigned limit = 1; limit < 256 && sys_cap_limit(limit) != STATUS_OK; limit++) {
    }
    for (unsigned i = 0; i < 256 && status >= 0; i++) {
        status = sys_cap_derive(CAP_CONSOLE, 0, 0);
    }
    return status;
}

static int64_t of_another_generation(void)
{
    handle_t handle = (handle_t)sys_notification_create();
    return sys_cap_delete(handle) == STATUS_OK ? sys_notification_signal(handle, 1) : STATUS_OK;
}

static int64_t of_a_slot_for_others(void)
{
    return sys_cap_move((handle_t)sys_notification_create(), CAP_WELL_KNOWN_SLOTS - 1);
}

static const struct {
    int64_t (*provoke)(void);
    int status;
} provoked[] = {
    {of_nothing, STATUS_ERR_CAP_INVALID},
    {of_what_was_revoked, STATUS_ERR_CAP_REVOKED},
    {of_another_type, STATUS_ERR_CAP_TYPE},
    {without_the_right, STATUS_ERR_CAP_RIGHTS},
    {of_another_generation, STATUS_ERR_CAP_GENERATION},
    {of_a_slot_for_others, STATUS_ERR_CAP_TARGET},
    {beyond_the_limit, STATUS_ERR_CAP_QUOTA}, /* the last one: nothing more can be made afterwards */
};

#define PROVOKED (sizeof(provoked) / sizeof(provoked[0]))

_Static_assert(PROVOKED == STATUS_ERR_CAP_INVALID - STATUS_ERR_CAP_TARGET + 1, "every status of the group");

/* Each comes as the result, in the report of the last failure and in the counters: the same one. */
static void provoke_all(void)
{
    static struct error_stats before;
    static struct error_stats after;
    static struct error_report report;
    for (unsigned i = 0; i < PROVOKED; i++) {
        int status = provoked[i].status;
        bool good = sys_error_stats(&before) == STATUS_OK;
        int64_t result = provoked[i].provoke();
        good = good && sys_error_report(&report) == STATUS_OK && sys_error_stats(&after) == STATUS_OK;
        if (!good || result != status || report.status != status ||
            after.failures[-status] != before.failures[-status] + 1) {
            print("# %s came as %lld, reported as %d\n", status_name((status_t)status), (long long)result,
                  report.status);
            sys_exit(1 + (int)i);
        }
    }
    sys_exit(0);
}

/* covers: CP-22 (S) */
bool test_all_seven_errors_cross_the_boundary(void)
{
    EXPECT(tap_in_child(provoke_all) == 0);
    return true;
}

/* ---- iteration while the space changes ---- */

#define STAYING 96u
#define PASSES  20u     /* in which something changed */
#define MOST    100000u /* in QEMU the other thread may not come to run for a while */
#define MOVING  160u    /* more than one leaf of records holds */

static _Atomic bool no_more;
static _Atomic uint64_t changes;

/* Makes and deletes, so that slots before, between and behind those that stay come and go, whole leaves too. */
static uint64_t derive_and_delete(void *unused)
{
    static handle_t made[MOVING];
    uint64_t seed = 88172645463325252;
    (void)unused;
    while (!no_more) {
        unsigned at = (unsigned)(random_next(&seed) % MOVING);
        if (made[at] == 0) {
            made[at] = (handle_t)sys_cap_derive(CAP_CONSOLE, RIGHT_WRITE, 0);
        } else {
            (void)sys_cap_delete(made[at]);
            made[at] = 0;
        }
        if (++changes % 8 == 0) {
            sys_yield();
        }
    }
    for (unsigned i = 0; i < MOVING; i++) {
        if (made[i] != 0) {
            (void)sys_cap_delete(made[i]);
        }
    }
    return 0;
}

/* One pass: slots only ascend, and each capability that stays is met once. */
static bool passes_once(const handle_t *staying)
{
    unsigned met[STAYING] = {0};
    uint32_t last = 0;
    unsigned steps = 0;
    for (int64_t at = 0; (at = sys_cap_next((handle_t)at)) > 0; steps++) {
        EXPECT((uint32_t)at > last);
        last = (uint32_t)at;
        for (unsigned i = 0; i < STAYING; i++) {
            met[i] += (handle_t)at == staying[i];
        }
        if (steps % 16 == 0) {
            sys_yield(); /* with one CPU, too, something changes in the middle */
        }
    }
    for (unsigned i = 0; i < STAYING; i++) {
        EXPECT(met[i] == 1);
    }
    return true;
}

static bool iterate(const handle_t *staying)
{
    unsigned changed = 0;
    for (unsigned pass = 0; pass < MOST && changed < PASSES; pass++) {
        uint64_t before = changes;
        EXPECT(passes_once(staying));
        changed += changes != before;
    }
    EXPECT(changed == PASSES);
    return true;
}

/* covers: CP-19 */
bool test_iteration_is_stable_while_the_space_changes(void)
{
    static handle_t staying[STAYING];
    static handle_t gaps[STAYING / 2];
    for (unsigned i = 0; i < STAYING; i++) { /* some beside one another, some with room between them */
        int64_t between = sys_cap_derive(CAP_CONSOLE, RIGHT_READ, 0);
        staying[i] = (handle_t)sys_cap_derive(CAP_CONSOLE, RIGHT_READ, 0);
        EXPECT(between > 0 && (int64_t)staying[i] > 0);
        if (i % 2 == 0) {
            EXPECT(sys_cap_delete((handle_t)between) == STATUS_OK);
        } else {
            gaps[i / 2] = (handle_t)between;
        }
    }
    for (unsigned i = 0; i < STAYING / 2; i++) {
        EXPECT(sys_cap_delete(gaps[i]) == STATUS_OK);
    }
    no_more = false;
    int64_t tid = thread_start(derive_and_delete, NULL, 0);
    bool good = tid > 0 && iterate(staying);
    no_more = true;
    EXPECT(tid > 0 && thread_join(tid, NULL) == STATUS_OK);
    for (unsigned i = 0; i < STAYING; i++) {
        EXPECT(sys_cap_delete(staying[i]) == STATUS_OK);
    }
    return good;
}
