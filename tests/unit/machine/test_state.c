/* Every field of every state struct is visited, or is named here with the reason why not. */

#include "base/bits.h"
#include "core/event.h"
#include "disk_file.h"
#include "machine/machine.h"
#include "small_timing.h"
#include "state_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOTS 8u

/* Members that are no state. "wiring" is set once, when the machine is made. */
static struct state_exclusion excluded[] = {
    /* the machine */
    {"sim.config", "wiring", false},
    {"sim.cpu_model", "wiring", false},
    {"sim.timing", "wiring", false},
    {"sim.model", "a root of its own", false},
    {"sim.map", "wiring", false},
    {"sim.cpuid", "wiring", false},
    {"sim.phases", "wiring", false},
    {"sim.events", "a root of its own", false},
    {"sim.lapics", "a root of its own", false},
    {"sim.cpus", "a root of its own", false},
    {"sim.bus", "RAM has its own digest; the rest is wiring", false},
    {"sim.blocks", "accelerator", false},
    {"sim.stop_asked", "lives within sim_run", false},
    {"sim.running", "lives within sim_run", false},
    {"sim.moved", "lives within sim_run", false},
    {"sim.wakes", "lives within sim_run", false},
    {"sim.target", "lives within sim_go_to", false},
    {"sim.alone", "lives within sim_go_to", false},
    {"sim.at", "depends on how a run is cut; in snapshots", false},
    {"sim.stepped", "depends on how a run is cut; in snapshots", false},
    {"sim.on_output", "observer", false},
    {"sim.on_output_arg", "observer", false},
    {"sim.progress", "observer", false},
    {"sim.cut", "observer", false},
    {"sim.boundary", "observer", false},
    {"sim.accesses", "observer", false},
    {"sim.access_observers", "observer", false},
    {"sim.last_stop", "what sim_run returned, no part of the machine", false},
    {"sim.sharing", "observer", false},
    {"sim.watchers", "observer", false},
    {"sim.watcher_count", "observer", false},
    {"sim.probes", "observer", false},
    {"sim.probe_end", "observer", false},
    {"sim.log", "what was done, not what is", false},
    /* the APICs */
    {"sim.apic_bus.config", "wiring", false},
    {"sim.apic_bus.events", "wiring", false},
    {"sim.apic_bus.timer", "wiring", false},
    {"sim.apic_bus.lapics", "wiring", false},
    {"sim.apic_bus.lapic_count", "wiring", false},
    {"sim.apic_bus.ioapics", "wiring", false},
    {"sim.apic_bus.ioapic_count", "wiring", false},
    {"sim.apic_bus.serving", "lives within a call", false},
    {"sim.apic_bus.in_flight", "derived from the queue", false},
    {"sim.ioapic.config", "wiring", false},
    {"sim.ioapic.port", "wiring", false},
    {"lapic.config", "wiring", false},
    {"lapic.signals", "wiring", false},
    {"lapic.port", "wiring", false},
    {"lapic.events", "wiring", false},
    {"lapic.timer", "wiring", false},
    {"lapic.trace", "observer", false},
    {"lapic.pending_vector", "derived", false},
    {"lapic.intr", "derived", false},
    /* the board */
    {"sim.board.outputs", "wiring", false},
    {"sim.board.uarts.config", "wiring", false},
    {"sim.board.uarts.events", "wiring", false},
    {"sim.board.uarts.irq", "wiring", false},
    {"sim.board.uarts.out", "wiring", false},
    {"sim.board.uarts.transmit_timer", "wiring", false},
    {"sim.board.uarts.receive_timer", "wiring", false},
    {"sim.board.uarts.timeout_timer", "wiring", false},
    {"sim.board.pic.intr", "wiring", false},
    {"sim.board.pit.events", "wiring", false},
    {"sim.board.pit.out0", "wiring", false},
    {"sim.board.pit.timer", "wiring", false},
    {"sim.board.rtc.events", "wiring", false},
    {"sim.board.rtc.irq", "wiring", false},
    {"sim.board.rtc.update_timer", "wiring", false},
    {"sim.board.rtc.periodic_timer", "wiring", false},
    {"sim.board.hpet.config", "wiring", false},
    {"sim.board.hpet.wiring", "wiring", false},
    {"sim.board.hpet.events", "wiring", false},
    {"sim.board.hpet.first_event", "wiring", false},
    {"sim.board.i8042.wiring", "wiring", false},
    {"sim.board.pm.config", "wiring", false},
    {"sim.board.pm.events", "wiring", false},
    {"sim.board.pm.sci", "wiring", false},
    {"sim.board.pm.request", "wiring", false},
    {"sim.board.pm.timer", "wiring", false},
    {"sim.board.ged", "wiring", false},
    {"sim.board.debug_exit", "wiring", false},
    {"sim.board.debug_console", "wiring", false},
    {"sim.board.disks.config", "wiring", false},
    {"sim.board.disks.mmio.config", "wiring", false},
    {"sim.board.disks.mmio.timer", "wiring", false},
    {"sim.board.disks.disk.base", "wiring; it has a digest", false},
    {"sim.board.disks.disk.size_bytes", "wiring", false},
    {"sim.board.disks.disk.base_digest", "wiring; another one is refused: test_disk.c", false},
    {"sim.board.disks.disk.changed", "behind pointers: test_disk.c", false},
    {"sim.board.entropy.config", "wiring", false},
    {"sim.board.entropy.mmio.config", "wiring", false},
    {"sim.board.entropy.mmio.timer", "wiring", false},
    /* the vCPU */
    {"sim.request_cycles", "a request is taken at once", false},
    {"sim.ahead_cycles", "follows from the configuration and who watches", false},
    {"cpu.gpr[16]", "slot for addressing", false},
    {"cpu.gpr[17]", "slot for addressing", false},
    {"cpu.gpr[18]", "slot for addressing", false},
    {"cpu.host", "accelerator", false},
    {"cpu.flag_left", "lazy flags: see the test of RFLAGS", false},
    {"cpu.flag_right", "lazy flags: see the test of RFLAGS", false},
    {"cpu.flag_fix", "lazy flags: see the test of RFLAGS", false},
    {"cpu.chain_break", "lives within cpu_run", false},
    {"cpu.chain_cut", "lives within cpu_run", false},
    {"cpu.mode", "derived", false},
    {"cpu.mem_mode", "derived", false},
    {"cpu.tlb.aliases", "accelerator", false},
    {"cpu.tlb.granules", "accelerator", false},
    {"cpu.tlb.used_sets", "accelerator", false},
    {"cpu.tlb.host_groups", "accelerator", false},
    {"cpu.stores.head", "where the ring begins has no meaning", false},
    {"cpu.stores.capacity", "wiring", false},
    {"cpu.stores.no_code", "accelerator", false},
    {"cpu.stores.drain_cycles", "wiring", false},
    {"cpu.fault", "lives within an instruction", false},
    {"cpu.stop_text", "lives within cpu_run", false},
    {"cpu.number", "wiring", false},
    {"cpu.trace", "observer", false},
    {"cpu.bus", "wiring", false},
    {"cpu.lapic", "wiring", false},
    {"cpu.blocks", "wiring", false},
    {"cpu.costs", "wiring", false},
    {"cpu.timing", "wiring", false},
    {"cpu.accesses", "lives within an instruction", false},
    {"cpu.access_count", "lives within an instruction", false},
    {"cpu.access_stores", "lives within an instruction", false},
    {"cpu.access_far", "lives within an instruction", false},
    {"cpu.look_cycles", "follows from the deadline and the store queue", false},
    {"cpu.access_waits", "lives within an instruction", false},
    {"cpu.wait_reason", "lives within an instruction", false},
    {"cpu.wait_line", "lives within an instruction", false},
    {"cpu.held", "lives within an instruction", false},
    {"cpu.held_count", "lives within an instruction", false},
    {"cpu.ahead", "lives within cpu_run_ahead", false},
    {"cpu.ahead_due", "lives within cpu_run_ahead", false},
    {"cpu.drain_key", "lives within a drain", false},
    {"cpu.delivery_key", "lives within a delivery", false},
    {"cpu.delivery_pc", "lives within a delivery", false},
    {"cpu.step_mode", "lives within an instruction", false},
    {"cpu.cr3_kept", "lives within an instruction", false},
    {"cpu.fetch_slot", "lives within an instruction", false},
    {"cpu.store_room", "wiring", false},
    {"cpu.watches", "observer", false},
    {"cpu.on_timing", "observer", false},
    {"cpu.on_timing_target", "observer", false},
    {"cpu.tlb.filled", "lives within an instruction", false},
    {"cpu.cpuid", "wiring", false},
    {"cpu.pic_acknowledge", "wiring", false},
    {"cpu.pic_target", "wiring", false},
    {"cpu.drop_all_write_pointers", "wiring", false},
    {"cpu.machine_target", "wiring", false},
    {"cpu.step_block", "accelerator", false},
    {"cpu.step_rip", "accelerator", false},
    {"cpu.step_number", "accelerator", false},
    {"cpu.link_from", "lives within cpu_run", false},
    {"cpu.chain_op", "lives within cpu_run", false},
    {"cpu.chain_sum", "lives within cpu_run", false},
    {"cpu.exit_flow", "lives within cpu_run", false},
    {"cpu.exit_insn", "lives within cpu_run", false},
    {"cpu.masked", "a counter, and derived", false},
    {"cpu.masked_since", "a counter", false},
    {"cpu.masked_cycles", "a counter", false},
    {"cpu.drain_limited", "lives within cpu_run", false},
    {"cpu.probe_passed", "depends on who watches; in snapshots", false},
    {"cpu.probe_rip", "depends on who watches; in snapshots", false},
    {"cpu.single_step_blocks", "wiring", false},
    {"cpu.step_hook", "derived from stalls and ranges", false},
    {"cpu.step_hook_target", "derived from stalls and ranges", false},
    {"cpu.code", "accelerator", false},
    {"cpu.jumps", "accelerator", false},
    {"cpu.host_tables", "accelerator", false},
    {"cpu.code_tables", "accelerator", false},
    {"cpu.jump_tables", "accelerator", false},
    {"cpu.code_stamp", "accelerator", false},
    {"cpu.near_check", "accelerator", false},
    {"cpu.near_addend", "accelerator", false},
    {"cpu.last_addend", "accelerator", false},
    /* the event queue */
    {"events.timers", "wiring", false},
    {"events.timer_count", "wiring", false},
    {"events.heap", "derived from the due times", false},
    {"events.heap_count", "derived from the due times", false},
    /* the timing model */
    {"timing.params", "wiring", false},
    {"timing.ops", "wiring", false},
    {"timing.calendar_empty", "wiring", false},
    {"timing.cpus", "wiring", false},
    {"timing.tlb_slots", "wiring", false},
    {"timing.cores", "a root of its own", false},
    {"timing.banks", "a root of its own", false},
    {"timing.bus_free", "a table: test_state_tables.c", false},
    {"timing.reserved_until", "follows from the reservations", false},
    {"timing.overtaken", "ends the run at once", false},
    {"core.dispatch_width", "wiring", false},
    {"core.retire_width", "wiring", false},
    {"core.reorder_buffer", "wiring", false},
    {"core.load_queue", "wiring", false},
    {"core.store_queue", "wiring", false},
    {"core.in_order", "wiring", false},
    {"core.l1_load", "wiring", false},
    {"core.vector_load", "wiring", false},
    {"core.store_gap", "wiring", false},
    {"core.taken_bubble", "wiring", false},
    {"core.load_op", "wiring", false},
    {"core.store_op", "wiring", false},
    {"core.calendar_empty", "wiring", false},
    {"core.number", "wiring", false},
    {"core.shared", "wiring", false},
    {"core.landing_capacity", "wiring", false},
    {"timing.l3.sets", "wiring", false},
    {"timing.l3.ways", "wiring", false},
    {"timing.l3.way_bits", "wiring", false},
    {"timing.l3.away_clear", "wiring", false},
    {"timing.l3.away_set", "wiring", false},
    {"timing.l3.lines", "a table: test_state_tables.c", false},
    {"timing.l3.states", "a table: test_state_tables.c", false},
    {"timing.l3.trees", "a table: test_state_tables.c", false},
    {"timing.l3.recent", "accelerator", false},
    {"core.l1i.sets", "wiring", false},
    {"core.l1i.ways", "wiring", false},
    {"core.l1i.way_bits", "wiring", false},
    {"core.l1i.away_clear", "wiring", false},
    {"core.l1i.away_set", "wiring", false},
    {"core.l1i.lines", "a table: test_state_tables.c", false},
    {"core.l1i.states", "a table: test_state_tables.c", false},
    {"core.l1i.trees", "a table: test_state_tables.c", false},
    {"core.l1i.recent", "accelerator", false},
    {"core.l1d.sets", "wiring", false},
    {"core.l1d.ways", "wiring", false},
    {"core.l1d.way_bits", "wiring", false},
    {"core.l1d.away_clear", "wiring", false},
    {"core.l1d.away_set", "wiring", false},
    {"core.l1d.lines", "a table: test_state_tables.c", false},
    {"core.l1d.states", "a table: test_state_tables.c", false},
    {"core.l1d.trees", "a table: test_state_tables.c", false},
    {"core.l1d.recent", "accelerator", false},
    {"core.l2.sets", "wiring", false},
    {"core.l2.ways", "wiring", false},
    {"core.l2.way_bits", "wiring", false},
    {"core.l2.away_clear", "wiring", false},
    {"core.l2.away_set", "wiring", false},
    {"core.l2.lines", "a table: test_state_tables.c", false},
    {"core.l2.states", "a table: test_state_tables.c", false},
    {"core.l2.trees", "a table: test_state_tables.c", false},
    {"core.l2.recent", "accelerator", false},
    {"core.predictor.base", "a table: test_state_tables.c", false},
    {"core.predictor.tagged", "a table: test_state_tables.c", false},
    {"core.predictor.btb", "a table: test_state_tables.c", false},
    {"core.predictor.indirect", "a table: test_state_tables.c", false},
    {"core.predictor.returns", "a table: test_state_tables.c", false},
    {"core.predictor.folds", "follows from the history", false},
    {"core.predictor.at", "lives within an instruction", false},
    {"core.predictor.lengths", "wiring", false},
    {"core.predictor.base_bits", "wiring", false},
    {"core.predictor.tagged_bits", "wiring", false},
    {"core.predictor.btb_bits", "wiring", false},
    {"core.predictor.indirect_bits", "wiring", false},
    {"core.predictor.return_count", "wiring", false},
    {"core.dtlb.entries", "wiring", false},
    {"core.dtlb.overlay", "a table: test_state_tables.c", false},
    {"core.dtlb.slots", "a table: test_state_tables.c", false},
    {"core.dtlb.numbers", "a table: test_state_tables.c", false},
    {"core.itlb.entries", "wiring", false},
    {"core.itlb.overlay", "a table: test_state_tables.c", false},
    {"core.itlb.slots", "a table: test_state_tables.c", false},
    {"core.itlb.numbers", "a table: test_state_tables.c", false},
    {"core.ready[35]", "TIMING_READY: always 0", false},
    {"core.ready[36]", "TIMING_SINK: read by nobody", false},
    {"core.unit_free[8]", "no unit: read by nobody", false},
    {"core.owned", "accelerator", false},
    {"core.l2_landing", "a table: test_state_tables.c", false},
    {"core.l2_lowering", "a table: test_state_tables.c", false},
    {"core.landings", "a root of its own", false},
    {"core.landing_head", "where the ring begins has no meaning", false},
    {"core.settled_at", "for look-ahead, which waits after a load until it is known again", false},
    {"core.ahead_until", "for look-ahead, which waits after a load until it is known again", false},
    {"core.load_start", "lives within an instruction", false},
    {"core.branch", "lives within an instruction", false},
    {"core.stamps", "of the last instruction, for observers", false},
    {"core.fallen", "accelerator", false},
    {"core.fallen_count", "accelerator", false},
    {"core.counters", "counters", false},
};

#define EXCLUDED (sizeof excluded / sizeof excluded[0])

/* A struct of the machine's state, its fields, and its bytes as they were. */
struct root {
    struct state_fields fields;
    uint8_t *bytes, *before;
    size_t size;
};

struct machine {
    struct sim *s;
    struct root root[ROOTS];
};

/* Size of the event queue, whose struct is private: the last field ends it, padding apart. */
static size_t end_of(const struct state_fields *f)
{
    size_t end = 0;
    for (size_t i = 0; i < f->count; i++) {
        size_t own = f->list[i].offset + f->list[i].size;
        end = own > end ? own : end;
    }
    return end;
}

static void read_root(struct root *r, const char *type, const char *name, size_t size)
{
    state_fields_read(&r->fields, type, name, excluded, EXCLUDED);
    r->size = size ? size : end_of(&r->fields);
    r->before = malloc(r->size);
    assert_non_null(r->before);
}

/* A restored machine may have its landings elsewhere. */
static void find_roots(struct machine *m)
{
    struct timing *t = m->s->model;
    void *const bytes[ROOTS] = {m->s, m->s->cpus, m->s->lapics, m->s->events,
                                t,    t->cores,   t->banks,     t->cores->landings};
    for (unsigned i = 0; i < ROOTS; i++) {
        m->root[i].bytes = bytes[i];
    }
}

static void read_roots(struct machine *m)
{
    const struct timing *t = m->s->model;
    read_root(&m->root[0], "sim", "sim", sizeof *m->s);
    read_root(&m->root[1], "cpu", "cpu", sizeof *m->s->cpus);
    read_root(&m->root[2], "lapic", "lapic", sizeof *m->s->lapics);
    read_root(&m->root[3], "event_queue", "events", 0);
    read_root(&m->root[4], "timing", "timing", sizeof *t);
    read_root(&m->root[5], "timing_core", "core", sizeof *t->cores);
    read_root(&m->root[6], "timing_bank", "bank", sizeof *t->banks);
    read_root(&m->root[7], "timing_landing", "landing", sizeof *t->cores->landings);
    find_roots(m);
}

/* Queues that are full, so that each of their elements counts. */
static void fill_queues(struct sim *s)
{
    struct cpu *cpu = &s->cpus[0];
    cpu->stores.count = cpu->stores.capacity;
    for (unsigned i = 0; i < STORE_QUEUE_MAX; i++) {
        cpu->stores.entries[i] = (struct store_entry){phys(0x1000 + 8 * i), i, 100 + i, 8};
    }
    for (unsigned i = 0; i < SIM_SERIAL_PORTS; i++) {
        s->board.uarts[i].host_count = UART_HOST_BYTES;
    }
    struct apic_bus *b = &s->apic_bus;
    b->count = b->config.capacity;
    b->fault_count = APIC_BUS_FAULTS_MAX;
    b->waiter_count = APIC_BUS_SOURCES_MAX;
    s->stall_count = STALLS_MAX;
    s->interrupted_count = INTERRUPTED_MAX;
    s->model->cores->landing_count = 2;
}

/* With every device that a board can have. */
static struct sim *make_sim(void)
{
    struct sim_config c;
    struct error e;
    struct timing_params timing;
    char disk[DISK_FILE_NAME_BYTES];
    disk_file_make(disk, DISK_PAGE_BYTES);
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.memory_model = MODEL_TSO;
    c.entropy = true;
    c.engine = ENGINE_TIMED;
    small_timing(&timing);
    timing.value[TIMING_store_queue] = STORE_QUEUE_MAX;
    c.timing = &timing;
    while (c.disk_count < SIM_DISKS_MAX) {
        c.disks[c.disk_count++] = disk;
    }
    struct sim *s = sim_create(&c, &e);
    assert_non_null(s);
    disk_file_remove(disk);
    return s;
}

static void setup(struct machine *m)
{
    m->s = make_sim();
    fill_queues(m->s);
    for (unsigned i = 0; i < SIM_CPUS_MAX; i++) {
        m->s->ranges[i].vector = (uint16_t)i;
    }
    read_roots(m);
}

static void teardown(struct machine *m)
{
    for (unsigned i = 0; i < ROOTS; i++) {
        state_fields_free(&m->root[i].fields);
        free(m->root[i].before);
    }
    sim_destroy(m->s);
}

static void keep(struct machine *m)
{
    for (unsigned i = 0; i < ROOTS; i++) {
        memcpy(m->root[i].before, m->root[i].bytes, m->root[i].size);
    }
}

static void put_back(struct machine *m)
{
    for (unsigned i = 0; i < ROOTS; i++) {
        memcpy(m->root[i].bytes, m->root[i].before, m->root[i].size);
    }
}

/* The digest, or zero when a visitor refuses what it sees. */
static struct digest look(struct sim *s)
{
    struct digest_visitor *d = digest_visitor_create(VISIT_MODEL);
    struct visitor *v = digest_visitor_base(d);
    machine_visit(s, v);
    bool failed = v->failed;
    struct digest digest = digest_visitor_finish(d);
    return failed ? (struct digest){0, 0} : digest;
}

/* An element that this machine does not have. */
static bool is_beyond(const struct machine *m, const struct state_field *f)
{
    static const char ranges[] = "sim.ranges[", due[] = "events.due[", timers[] = "sim.board.hpet.timers[";
    const char *index = strchr(f->path, '[');
    unsigned n = index ? (unsigned)strtoul(index + 1, NULL, 10) : 0;
    return (strncmp(f->path, ranges, sizeof ranges - 1) == 0 && n >= m->s->config.cpus) ||
           (strncmp(f->path, timers, sizeof timers - 1) == 0 && n >= m->s->board.hpet.config.timers) ||
           (strncmp(f->path, due, sizeof due - 1) == 0 && n >= 2);
}

/* Is the change of a byte of the field seen? */
static bool is_seen(struct machine *m, struct root *r, size_t offset, uint8_t flip, struct digest clean)
{
    r->bytes[offset] ^= flip;
    struct digest changed = look(m->s);
    put_back(m);
    return !digest_equal(changed, clean);
}

static bool every_byte_is_seen(struct machine *m, struct root *r, const struct state_field *f,
                               struct digest clean)
{
    if (f->kind == STATE_FIELD_BOOL || f->kind == STATE_FIELD_ENUM) {
        return is_seen(m, r, f->offset, 1, clean);
    }
    for (size_t i = 0; i < f->size; i++) {
        if (!is_seen(m, r, f->offset + i, 0xff, clean) && !is_seen(m, r, f->offset + i, 1, clean)) {
            return false;
        }
    }
    return true;
}

static unsigned unseen_fields(struct machine *m, struct root *r, struct digest clean)
{
    unsigned unseen = 0;
    for (size_t i = 0; i < r->fields.count; i++) {
        const struct state_field *f = &r->fields.list[i];
        if (f->kind == STATE_FIELD_POINTER) {
            print_message("%s is a pointer: state holds none\n", f->path);
            unseen++;
        } else if (!is_beyond(m, f) && !every_byte_is_seen(m, r, f, clean)) {
            print_message("%s is not visited\n", f->path);
            unseen++;
        }
    }
    return unseen;
}

static void every_field_is_in_the_digest_or_on_the_list_of_those_that_are_no_state(void **state)
{
    struct machine m;
    unsigned unseen = 0;
    (void)state;
    setup(&m);
    struct digest clean = look(m.s);
    assert_true(clean.hi | clean.lo);
    keep(&m);
    for (unsigned i = 0; i < ROOTS; i++) {
        assert_true(m.root[i].fields.count > 0);
        unseen += unseen_fields(&m, &m.root[i], clean);
    }
    assert_int_equal(unseen, 0);
    teardown(&m);
}

static void the_list_of_those_that_are_no_state_names_nothing_that_is_gone(void **state)
{
    struct machine m;
    (void)state;
    setup(&m);
    for (size_t i = 0; i < EXCLUDED; i++) {
        if (!excluded[i].used) {
            fail_msg("%s does not exist", excluded[i].path);
        }
    }
    teardown(&m);
}

static void every_flag_is_in_the_digest(void **state)
{
    struct sim *s = make_sim();
    (void)state;
    cpu_set_rflags(&s->cpus[0], RFLAGS_ONE);
    struct digest clean = look(s);
    for (unsigned bit = 0; bit < 22; bit++) {
        uint64_t flag = UINT64_C(1) << bit;
        if (flag & (RFLAGS_STATUS | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_AC)) {
            cpu_set_rflags(&s->cpus[0], RFLAGS_ONE | flag);
            assert_false(digest_equal(clean, look(s)));
        }
    }
    sim_destroy(s);
}

static void the_digest_of_a_machine_is_of_its_ram_and_of_its_state(void **state)
{
    (void)state;
    struct sim *s = make_sim();
    struct digest first = sim_digest(s, VISIT_MACHINE);
    assert_true(bus_load(&s->bus, phys(0x5000), "x", 1));
    struct digest second = sim_digest(s, VISIT_MACHINE);
    s->exit_value++;
    struct digest third = sim_digest(s, VISIT_MACHINE);
    assert_true(bus_load(&s->bus, phys(0x5000), "", 1));
    s->exit_value--;
    assert_false(digest_equal(first, second));
    assert_false(digest_equal(second, third));
    assert_true(digest_equal(first, sim_digest(s, VISIT_MACHINE)));
    sim_destroy(s);
}

/* Changes a byte if the visitors take it. */
static bool change(struct machine *m, struct root *r, size_t offset)
{
    r->bytes[offset] ^= 1;
    struct digest d = look(m->s);
    bool taken = (d.hi | d.lo) != 0;
    if (!taken) {
        put_back(m);
    }
    return taken;
}

/* Another value in every field, as far as the visitors take it. */
static void poison(struct machine *m)
{
    for (unsigned i = 0; i < ROOTS; i++) {
        struct root *r = &m->root[i];
        for (size_t n = 0; n < r->fields.count; n++) {
            const struct state_field *f = &r->fields.list[n];
            keep(m);
            for (size_t byte = 0; byte < f->size && !change(m, r, f->offset + byte); byte++) {
            }
        }
    }
}

static unsigned different_fields(const struct machine *a, const struct machine *b, bool print)
{
    unsigned different = 0;
    for (unsigned i = 0; i < ROOTS; i++) {
        for (size_t n = 0; n < a->root[i].fields.count; n++) {
            const struct state_field *f = &a->root[i].fields.list[n];
            bool same = memcmp(a->root[i].bytes + f->offset, b->root[i].bytes + f->offset, f->size) == 0;
            bool counts = !is_beyond(a, f) && !same;
            different += counts;
            if (counts && print) {
                print_message("%s was not restored\n", f->path);
            }
        }
    }
    return different;
}

static void a_poisoned_machine_is_restored_in_every_field(void **state)
{
    struct machine a, b;
    struct state_buffer snapshot = {0};
    struct error e;
    (void)state;
    setup(&a);
    setup(&b);
    poison(&b);
    assert_true(different_fields(&a, &b, false) > 1000);
    cpu_set_clock(&a.s->cpus[0], cpu_now(&a.s->cpus[0])); /* one way of writing it */
    sim_snapshot(a.s, &snapshot);
    if (!sim_restore(b.s, &snapshot, &e)) {
        fail_msg("%s", e.text);
    }
    find_roots(&b);
    assert_int_equal(different_fields(&a, &b, true), 0);
    assert_true(digest_equal(sim_state_hash(a.s), sim_state_hash(b.s)));
    state_buffer_deinit(&snapshot);
    teardown(&a);
    teardown(&b);
}

static void set_field(struct machine *m, const char *path, uint64_t value)
{
    for (unsigned i = 0; i < ROOTS; i++) {
        for (size_t n = 0; n < m->root[i].fields.count; n++) {
            const struct state_field *f = &m->root[i].fields.list[n];
            if (strcmp(f->path, path) == 0) {
                store_le(m->root[i].bytes + f->offset, value, (unsigned)f->size);
                return;
            }
        }
    }
    fail_msg("there is no %s", path);
}

static bool loads(struct sim *from, struct sim *to)
{
    struct state_buffer state = {0};
    struct buffer_visitor save, load;
    save_visitor_init(&save, VISIT_MODEL, &state);
    machine_visit(from, &save.base);
    load_visitor_init(&load, VISIT_MODEL, &state);
    machine_visit(to, &load.base);
    state_buffer_deinit(&state);
    return !load.base.failed;
}

/* Numbers by which something is counted or found. The machine has one vCPU and 16 MiB, its queues are full. */
static void a_number_that_would_lead_outside_is_not_loaded(void **state)
{
    static const struct {
        const char *path;
        uint64_t value;
    } wrong[] = {
        {"sim.apic_bus.count", APIC_BUS_QUEUE_MAX + 1},
        {"sim.apic_bus.queue[0].source", APIC_BUS_MSI + 1},
        {"sim.apic_bus.queue[0].lapic", 1},
        {"sim.apic_bus.queue[0].message.delivery", 8},
        {"sim.apic_bus.queue[0].message.shorthand", 4},
        {"sim.apic_bus.waiter_count", APIC_BUS_SOURCES_MAX + 1},
        {"sim.apic_bus.waiters[0]", 1},
        {"sim.apic_bus.waiters[0]", APIC_BUS_LAPICS_MAX + 1},
        {"sim.apic_bus.fault_count", APIC_BUS_FAULTS_MAX + 1},
        {"sim.apic_bus.last_lowest", 1},
        {"sim.stall_count", STALLS_MAX + 1},
        {"sim.stalls[0].cpu", 1},
        {"sim.interrupted_count", INTERRUPTED_MAX + 1},
        {"sim.stop_cpu", 1},
        {"sim.ended", SIM_STOP_NOT_MODELLED + 1},
        {"sim.request", REQUEST_DEBUG_EXIT + 1},
        {"sim.stop_text[255]", 'x'},
        {"sim.board.uarts[1].rx_first", UART_FIFO_BYTES},
        {"sim.board.uarts[1].rx_count", UART_FIFO_BYTES + 1},
        {"sim.board.uarts[1].tx_first", UART_FIFO_BYTES},
        {"sim.board.uarts[1].tx_count", UART_FIFO_BYTES + 1},
        {"sim.board.uarts[0].host_first", UART_HOST_BYTES},
        {"sim.board.uarts[0].host_count", UART_HOST_BYTES + 1},
        {"sim.board.pit.channels[2].mode", 6},
        {"sim.board.pit.channels[2].access", 4},
        {"sim.board.pic.slave.init_step", 5},
        {"sim.board.pic.slave.lowest", 8},
        {"sim.board.disks[2].mmio.stage", VIRTIO_SERVING + 1},
        {"sim.board.disks[0].mmio.stage", VIRTIO_SERVING}, /* its queue is not ready */
        {"sim.board.entropy.mmio.queue.ready", true},      /* it has no entries */
        {"cpu.activity", CPU_SHUTDOWN + 1},
        {"cpu.shadow", 4},
        {"cpu.cpl", 4},
        {"cpu.stores.count", STORE_QUEUE_MAX + 1},
        {"cpu.stores.entries[63].size_bytes", 3},
        {"cpu.stores.entries[0].address.v", 0x1ff9},              /* two pages */
        {"cpu.stores.entries[0].address.v", UINT64_C(0x2000000)}, /* no RAM */
        {"cpu.tlb.next_way[0]", TLB_4K_WAYS},
        {"cpu.tlb.entries[0].data", TLB_RAM | UINT64_C(0x2000000)},
        {"cpu.fetch.phys_page", 0x1001},
        {"events.due[0]", 0}, /* before what has fired */
        {"core.landing_count", (UINT32_C(1) << 20) + 1},
        {"core.predictor.return_top", 64},
    };
    struct machine a, b;
    (void)state;
    setup(&a);
    setup(&b);
    set_field(&a, "cpu.tlb.entries[0].key", tlb_key(0, 0, PAGE_SHIFT));
    set_field(&a, "events.firing_cycles", 5);
    assert_true(loads(a.s, b.s));
    keep(&a);
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        set_field(&a, wrong[i].path, wrong[i].value);
        if (loads(a.s, b.s)) {
            fail_msg("%s is loaded as %llu", wrong[i].path, (unsigned long long)wrong[i].value);
        }
        put_back(&a);
    }
    assert_true(loads(a.s, b.s));
    teardown(&a);
    teardown(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_in_the_digest_or_on_the_list_of_those_that_are_no_state),
        cmocka_unit_test(the_list_of_those_that_are_no_state_names_nothing_that_is_gone),
        cmocka_unit_test(every_flag_is_in_the_digest),
        cmocka_unit_test(the_digest_of_a_machine_is_of_its_ram_and_of_its_state),
        cmocka_unit_test(a_poisoned_machine_is_restored_in_every_field),
        cmocka_unit_test(a_number_that_would_lead_outside_is_not_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
