/*
 * Data accesses of a vCPU: scalars, blocks, read-modify-writes; RAM through the store commit stage, or
 * devices.
 *
 * Source: AMD64 APM vol. 2, "Page Translation and Protection", "Memory System"; Intel SDM vol. 3A, "Memory
 * Ordering", "Alignment Check Exception (#AC)"; vol. 3B, "Data Breakpoint Conditions".
 *
 * Deviations: memory types. RAM that the PAT makes uncached drains the store queue as uncached accesses do;
 * every other type behaves as write-back, which is stronger than WC. MTRRs and CR0.CD do not count. #AC is
 * looked for before #PF, on scalars and on blocks up to 16 bytes. A block is chunks of up to 8 naturally
 * aligned bytes.
 *
 * The order of everything here: translate all pages of the access, then do it, then note what the debug
 * registers want to know, then fill the host-pointer entries that keep the next access out of this
 * file.
 */

#include "cpu/mem.h"

#include "base/check.h"
#include "core/event.h"
#include "cpu/access_watch.h"
#include "cpu/debug_regs.h"
#include "cpu/mem_internal.h"
#include "cpu/store_queue.h"
#include "cpu/timed.h"

#include <string.h>

/* ---- one piece within a page
 * ------------------------------------------------------------------------------------- */

static uint64_t read_device(struct cpu *cpu, phys_t at, unsigned size_bytes)
{
    struct bus_cx cx = mem_bus_context(cpu);
    timed_note(cpu, TIMING_LOAD_DEVICE, at, size_bytes, TLB_ENTRIES);
    store_queue_drain(cpu);
    cpu_request_break(cpu);
    uint64_t value = bus_read(cpu->bus, &cx, at, size_bytes);
    trace_hit(&cpu->trace, TRACE_MMIO_READ, cx.now_cycles, at.v, size_bytes, value, 0);
    return value;
}

static void write_device(struct cpu *cpu, phys_t at, unsigned size_bytes, uint64_t value)
{
    struct bus_cx cx = mem_bus_context(cpu);
    timed_note(cpu, TIMING_STORE_DEVICE, at, size_bytes, TLB_ENTRIES);
    store_queue_drain(cpu);
    cpu_request_break(cpu);
    trace_hit(&cpu->trace, TRACE_MMIO_WRITE, cx.now_cycles, at.v, size_bytes, value, 0);
    bus_write(cpu->bus, &cx, at, value, size_bytes);
}

static inline uint64_t read_ram(struct cpu *cpu, const struct place *p, unsigned size_bytes)
{
    if (cpu->stores.count) {
        if (mem_is_uncached(cpu, p->data)) {
            store_queue_drain(cpu);
        }
        return store_queue_load(cpu, p->at, size_bytes);
    }
    return load_le(ram_at(&cpu->bus->ram, p->at), size_bytes);
}

static inline void commit_ram(struct cpu *cpu, phys_t at, unsigned size_bytes, uint64_t value)
{
    struct ram *ram = &cpu->bus->ram;
    if (ram->flags[at.v >> PAGE_SHIFT] == PAGE_DIRTY) {
        store_le(ram_at(ram, at), value, size_bytes);
    } else {
        bus_write_ram(cpu->bus, at, value, size_bytes);
    }
}

static inline void write_ram(struct cpu *cpu, const struct place *p, unsigned size_bytes, uint64_t value)
{
    timed_note(cpu, TIMING_STORE, p->at, size_bytes, p->slot);
    if (!cpu->stores.capacity) {
        commit_ram(cpu, p->at, size_bytes, value);
    } else if (mem_is_uncached(cpu, p->data)) {
        store_queue_drain(cpu);
        commit_ram(cpu, p->at, size_bytes, value);
    } else {
        store_queue_push(cpu, p->at, size_bytes, value);
    }
}

/* size_bytes: 1, 2, 4 or 8. */
static inline uint64_t read_place(struct cpu *cpu, const struct place *p, unsigned size_bytes)
{
    if (!mem_is_ram(cpu, p, size_bytes)) {
        return read_device(cpu, p->at, size_bytes);
    }
    timed_note(cpu, TIMING_LOAD, p->at, size_bytes, p->slot);
    return read_ram(cpu, p, size_bytes);
}

static inline void write_place(struct cpu *cpu, const struct place *p, unsigned size_bytes, uint64_t value)
{
    if (mem_is_ram(cpu, p, size_bytes)) {
        write_ram(cpu, p, size_bytes, value);
    } else {
        write_device(cpu, p->at, size_bytes, value);
    }
}

/* ---- checks
 * ------------------------------------------------------------------------------------------------------ */

static bool fault_alignment(struct cpu *cpu)
{
    cpu->fault = (struct fault){.vector = VECTOR_AC, .has_error = true};
    return false;
}

static inline bool is_misaligned(const struct cpu *cpu, lin_t a, unsigned size_bytes)
{
    return (a.v & (size_bytes - 1)) != 0 && mem_checks_alignment(cpu);
}

static bool is_misaligned_block(const struct cpu *cpu, lin_t a, unsigned size_bytes)
{
    if (size_bytes == 10) {
        return is_misaligned(cpu, a, 8); /* an 80-bit number */
    }
    bool power_of_two = (size_bytes & (size_bytes - 1)) == 0;
    return size_bytes <= 16 && power_of_two && is_misaligned(cpu, a, size_bytes);
}

/* Data breakpoints that an access has hit become #DB at the next boundary. */
static void note_watch(struct cpu *cpu, lin_t a, unsigned size_bytes, bool write)
{
    for (unsigned n = 0; n < 4; n++) {
        enum dr7_type type = dr7_type(cpu->dr7, n);
        bool wanted = type == DR7_READ_WRITE || (write && type == DR7_WRITE);
        if (dr7_enabled(cpu->dr7, n) && wanted && dr_matches(cpu->dr7, n, cpu->dr[n], a.v, size_bytes)) {
            cpu->pending_db |= BIT(n);
            cpu->chain_cut = true;
        }
    }
}

static inline void note_access(struct cpu *cpu, lin_t a, unsigned size_bytes, bool write)
{
    if (mem_watches(cpu)) {
        note_watch(cpu, a, size_bytes, write);
    }
    if (cpu->watches) {
        access_watches_note(cpu->watches, cpu->number, a, size_bytes, write);
    }
}

/* ---- accesses of any length and place
 * ---------------------------------------------------------------------------- */

static inline bool crosses_page(lin_t a, unsigned size_bytes)
{
    return (a.v & PAGE_MASK_BITS) + size_bytes > PAGE_SIZE_BYTES;
}

/* The page after a's, wrapped to the width of linear addresses. */
static lin_t next_page(const struct cpu *cpu, lin_t a)
{
    uint64_t next = (a.v | PAGE_MASK_BITS) + 1;
    return lin(cpu->mode == MODE_LONG64 ? next : (uint32_t)next);
}

static bool resolve_piece(struct cpu *cpu, lin_t a, unsigned size_bytes, unsigned access,
                          struct mem_piece *out)
{
    struct place p;
    if (!mem_translate(cpu, a, access, &p)) {
        return false;
    }
    *out = (struct mem_piece){p.at, p.data, p.slot, size_bytes};
    return !timed_waits(cpu, &p, size_bytes, access);
}

/* Translates an access of up to 4096 bytes into one or two pieces; of the second size_bytes is 0 when there
 * is none. A write that crosses is first checked on both pages, so that no dirty bit is set by one that
 * faults. */
static bool resolve(struct cpu *cpu, lin_t a, unsigned size_bytes, unsigned access,
                    struct mem_piece pieces[2])
{
    CHECK(size_bytes <= PAGE_SIZE_BYTES, "an access of %u bytes", size_bytes);
    pieces[1] = (struct mem_piece){0};
    if (!crosses_page(a, size_bytes)) {
        return resolve_piece(cpu, a, size_bytes, access, &pieces[0]);
    }
    unsigned first_bytes = PAGE_SIZE_BYTES - (unsigned)(a.v & PAGE_MASK_BITS);
    lin_t next = next_page(cpu, a);
    if ((access & ACCESS_WRITE) &&
        (!resolve_piece(cpu, a, first_bytes, access | ACCESS_NO_DIRTY, &pieces[0]) ||
         !resolve_piece(cpu, next, size_bytes - first_bytes, access | ACCESS_NO_DIRTY, &pieces[1]))) {
        return false;
    }
    return resolve_piece(cpu, a, first_bytes, access, &pieces[0]) &&
           resolve_piece(cpu, next, size_bytes - first_bytes, access, &pieces[1]);
}

/* The largest naturally aligned chunk at an address, of at most 8 and at most size_bytes bytes. */
static unsigned chunk_bytes(phys_t at, unsigned size_bytes)
{
    unsigned chunk = 8;
    while (chunk > size_bytes || (at.v & (chunk - 1)) != 0) {
        chunk /= 2;
    }
    return chunk;
}

/* An operand is one access, more than that one for each aligned word. */
static void note_loads(struct cpu *cpu, const struct mem_piece *piece)
{
    for (unsigned done = 0, chunk; cpu->timing != NULL && done < piece->size_bytes; done += chunk) {
        phys_t at = phys(piece->at.v + done);
        chunk = piece->size_bytes <= 16 ? piece->size_bytes : chunk_bytes(at, piece->size_bytes - done);
        timed_note(cpu, TIMING_LOAD, at, chunk, piece->slot);
    }
}

/* The part of an operand that lies in the next page belongs to the access before it. */
static void note_rest(struct cpu *cpu, unsigned size_bytes)
{
    if (cpu->timing != NULL && size_bytes <= 16) {
        cpu->accesses[cpu->access_count - 1].rest = cpu->accesses[cpu->access_count - 1].kind == TIMING_LOAD;
    }
}

static void read_piece(struct cpu *cpu, const struct mem_piece *piece, uint8_t *out)
{
    struct place p = {piece->at, piece->data, piece->slot};
    if (mem_is_ram(cpu, &p, piece->size_bytes)) {
        note_loads(cpu, piece);
        if (cpu->stores.count && mem_is_uncached(cpu, p.data)) {
            store_queue_drain(cpu);
        }
        store_queue_load_bytes(cpu, p.at, out, piece->size_bytes);
        return;
    }
    for (unsigned done = 0, chunk; done < piece->size_bytes; done += chunk) {
        uint8_t bytes[8];
        phys_t at = phys(p.at.v + done);
        chunk = chunk_bytes(at, piece->size_bytes - done);
        store_le64(bytes, read_device(cpu, at, chunk));
        memcpy(out + done, bytes, chunk);
    }
}

static void write_piece(struct cpu *cpu, const struct mem_piece *piece, const uint8_t *bytes)
{
    for (unsigned done = 0, chunk; done < piece->size_bytes; done += chunk) {
        struct place p = {phys(piece->at.v + done), piece->data, piece->slot};
        chunk = chunk_bytes(p.at, piece->size_bytes - done);
        write_place(cpu, &p, chunk, load_le(bytes + done, chunk));
    }
}

static void read_pieces(struct cpu *cpu, const struct mem_piece pieces[2], uint8_t *out)
{
    read_piece(cpu, &pieces[0], out);
    if (pieces[1].size_bytes) {
        read_piece(cpu, &pieces[1], out + pieces[0].size_bytes);
        note_rest(cpu, pieces[0].size_bytes + pieces[1].size_bytes);
    }
}

static void write_pieces(struct cpu *cpu, const struct mem_piece pieces[2], const uint8_t *bytes)
{
    write_piece(cpu, &pieces[0], bytes);
    if (pieces[1].size_bytes) {
        write_piece(cpu, &pieces[1], bytes + pieces[0].size_bytes);
    }
}

static bool read_block(struct cpu *cpu, lin_t a, void *out, unsigned size_bytes, unsigned access)
{
    struct mem_piece pieces[2];
    if (!resolve(cpu, a, size_bytes, access, pieces)) {
        return false;
    }
    read_pieces(cpu, pieces, out);
    note_access(cpu, a, size_bytes, false);
    return true;
}

static bool write_block(struct cpu *cpu, lin_t a, const void *bytes, unsigned size_bytes, unsigned access)
{
    struct mem_piece pieces[2];
    if (!resolve(cpu, a, size_bytes, access, pieces)) {
        return false;
    }
    write_pieces(cpu, pieces, bytes);
    note_access(cpu, a, size_bytes, true);
    return true;
}

static bool read_any(struct cpu *cpu, lin_t a, unsigned size_bytes, unsigned access, uint64_t *out)
{
    uint8_t bytes[8] = {0};
    if (!read_block(cpu, a, bytes, size_bytes, access)) {
        return false;
    }
    *out = load_le64(bytes);
    return true;
}

static bool write_any(struct cpu *cpu, lin_t a, unsigned size_bytes, unsigned access, uint64_t value)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    return write_block(cpu, a, bytes, size_bytes, access);
}

/* ---- scalars
 * ----------------------------------------------------------------------------------------------------- */

/* The slow way of a scalar: access is ACCESS_*, mode the table whose entry may be filled. */
static bool read_scalar(struct cpu *cpu, enum mem_mode mode, lin_t a, unsigned size_bytes, unsigned access,
                        uint64_t *out)
{
    struct place p;
    if (crosses_page(a, size_bytes)) {
        return read_any(cpu, a, size_bytes, access, out);
    }
    if (!mem_translate(cpu, a, access, &p) || timed_waits(cpu, &p, size_bytes, access)) {
        return false;
    }
    if (mem_is_ram(cpu, &p, size_bytes)) {
        timed_note(cpu, TIMING_LOAD, p.at, size_bytes, p.slot);
        *out = read_ram(cpu, &p, size_bytes);
        mem_host_fill_read(cpu, mode, a, &p);
    } else {
        *out = read_device(cpu, p.at, size_bytes);
    }
    note_access(cpu, a, size_bytes, false);
    return true;
}

static bool write_scalar(struct cpu *cpu, enum mem_mode mode, lin_t a, unsigned size_bytes, unsigned access,
                         uint64_t value)
{
    struct place p;
    if (crosses_page(a, size_bytes)) {
        return write_any(cpu, a, size_bytes, access, value);
    }
    if (!mem_translate(cpu, a, access, &p) || timed_waits(cpu, &p, size_bytes, access)) {
        return false;
    }
    if (mem_is_ram(cpu, &p, size_bytes)) {
        write_ram(cpu, &p, size_bytes, value);
        mem_host_fill_write(cpu, mode, a, &p);
    } else {
        write_device(cpu, p.at, size_bytes, value);
    }
    note_access(cpu, a, size_bytes, true);
    return true;
}

bool mem_read(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t *out)
{
    const uint8_t *host = mem_host_read(cpu, a.v, size_bytes);
    if (host != NULL) {
        *out = load_le(host, size_bytes);
        return true;
    }
    if (is_misaligned(cpu, a, size_bytes)) {
        return fault_alignment(cpu);
    }
    return read_scalar(cpu, (enum mem_mode)cpu->mem_mode, a, size_bytes, mem_access(cpu, 0), out);
}

bool mem_write(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t value)
{
    uint8_t *host = mem_host_write(cpu, a.v, size_bytes);
    if (host != NULL) {
        store_le(host, value, size_bytes);
        return true;
    }
    if (is_misaligned(cpu, a, size_bytes)) {
        return fault_alignment(cpu);
    }
    return write_scalar(cpu, (enum mem_mode)cpu->mem_mode, a, size_bytes, mem_access(cpu, ACCESS_WRITE),
                        value);
}

bool mem_read_system(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t *out)
{
    const uint8_t *host = mem_host_read_system(cpu, a.v, size_bytes);
    if (host != NULL) {
        *out = load_le(host, size_bytes);
        return true;
    }
    return read_scalar(cpu, MEM_SUPERVISOR, a, size_bytes, 0, out);
}

bool mem_write_system(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t value)
{
    uint8_t *host = mem_host_write_system(cpu, a.v, size_bytes);
    if (host != NULL) {
        store_le(host, value, size_bytes);
        return true;
    }
    return write_scalar(cpu, MEM_SUPERVISOR, a, size_bytes, ACCESS_WRITE, value);
}

/* ---- blocks
 * ------------------------------------------------------------------------------------------------------ */

bool mem_read_bytes(struct cpu *cpu, lin_t a, void *out, unsigned size_bytes)
{
    if (is_misaligned_block(cpu, a, size_bytes)) {
        return fault_alignment(cpu);
    }
    return read_block(cpu, a, out, size_bytes, mem_access(cpu, 0));
}

bool mem_write_bytes(struct cpu *cpu, lin_t a, const void *bytes, unsigned size_bytes)
{
    if (is_misaligned_block(cpu, a, size_bytes)) {
        return fault_alignment(cpu);
    }
    return write_block(cpu, a, bytes, size_bytes, mem_access(cpu, ACCESS_WRITE));
}

bool mem_probe_write(struct cpu *cpu, lin_t a, unsigned size_bytes)
{
    struct mem_piece pieces[2];
    return resolve(cpu, a, size_bytes, mem_access(cpu, ACCESS_WRITE), pieces);
}

bool mem_probe_read(struct cpu *cpu, lin_t a, unsigned size_bytes)
{
    struct mem_piece pieces[2];
    return resolve(cpu, a, size_bytes, mem_access(cpu, 0), pieces);
}

/* ---- read-modify-write
 * ------------------------------------------------------------------------------------------- */

static void rmw_read(struct cpu *cpu, struct mem_rmw *rmw)
{
    struct place p = {rmw->pieces[0].at, rmw->pieces[0].data, rmw->pieces[0].slot};
    if (rmw->pieces[1].size_bytes == 0 && rmw->size_bytes <= 8) {
        rmw->old = read_place(cpu, &p, rmw->size_bytes);
        rmw->old2 = 0;
        return;
    }
    uint8_t bytes[16] = {0};
    read_pieces(cpu, rmw->pieces, bytes);
    rmw->old = load_le64(bytes);
    rmw->old2 = load_le64(bytes + 8);
}

bool mem_rmw_begin(struct cpu *cpu, lin_t a, unsigned size_bytes, bool locked, struct mem_rmw *rmw)
{
    CHECK(size_bytes <= 16, "a read-modify-write of %u bytes", size_bytes);
    if (is_misaligned(cpu, a, size_bytes)) {
        return fault_alignment(cpu);
    }
    rmw->address = a;
    rmw->size_bytes = size_bytes;
    rmw->locked = locked;
    if (!resolve(cpu, a, size_bytes, mem_access(cpu, ACCESS_WRITE), rmw->pieces)) {
        return false;
    }
    if (locked && timed_lock_waits(cpu, rmw)) {
        return false;
    }
    if (locked) {
        store_queue_drain(cpu);
    }
    rmw_read(cpu, rmw);
    note_access(cpu, a, size_bytes, false);
    return true;
}

void mem_rmw_commit(struct cpu *cpu, const struct mem_rmw *rmw, uint64_t value, uint64_t value2)
{
    struct place p = {rmw->pieces[0].at, rmw->pieces[0].data, rmw->pieces[0].slot};
    if (rmw->pieces[1].size_bytes == 0 && rmw->size_bytes <= 8) {
        write_place(cpu, &p, rmw->size_bytes, value);
        if (mem_is_ram(cpu, &p, rmw->size_bytes)) {
            mem_host_fill_write(cpu, (enum mem_mode)cpu->mem_mode, rmw->address, &p);
        }
    } else {
        uint8_t bytes[16];
        store_le64(bytes, value);
        store_le64(bytes + 8, value2);
        write_pieces(cpu, rmw->pieces, bytes);
    }
    if (rmw->locked) {
        store_queue_drain(cpu);
    }
    note_access(cpu, rmw->address, rmw->size_bytes, true);
}

/* ---- store commit stage, MONITOR
 * --------------------------------------------------------------------------------- */

bool mem_store_pending(const struct cpu *cpu, phys_t page)
{
    for (unsigned i = 0; i < cpu->stores.count; i++) {
        const struct store_entry *e = &cpu->stores.entries[store_queue_slot(&cpu->stores, i)];
        if (e->address.v >> PAGE_SHIFT == page.v >> PAGE_SHIFT) {
            return true;
        }
    }
    return false;
}

void mem_drain(struct cpu *cpu)
{
    store_queue_drain(cpu);
}

void mem_drain_one(struct cpu *cpu)
{
    store_queue_drain_one(cpu);
}

void mem_drain_due(struct cpu *cpu, uint64_t now_cycles)
{
    while (mem_drain_next(cpu) <= now_cycles && cpu->stores.count) {
        if (cpu->timing != NULL) {
            timed_drain_one(cpu, now_cycles);
        } else {
            store_queue_drain_one(cpu);
        }
    }
}

bool mem_monitor(struct cpu *cpu, lin_t a)
{
    struct place p;
    if (!mem_translate(cpu, a, mem_access(cpu, 0), &p)) {
        return false;
    }
    cpu->monitor_armed = true;
    cpu->monitor_line = phys(p.at.v & ~UINT64_C(63));
    if (mem_is_ram(cpu, &p, 1)) {
        uint8_t *flags = &cpu->bus->ram.flags[p.at.v >> PAGE_SHIFT];
        if (!(*flags & PAGE_MONITOR) && cpu->drop_all_write_pointers) {
            cpu->drop_all_write_pointers(cpu->machine_target);
        }
        *flags |= PAGE_MONITOR;
    }
    return true;
}
