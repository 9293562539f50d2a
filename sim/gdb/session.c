/* Packets of a debugger, and their answers. */

#include "gdb/internal.h"

#include "base/alloc.h"
#include "gdb/registers.h"

#include <stdio.h>

#define READ_MAX ((GDB_PACKET_MAX - 16u) / 2)

struct gdb_session *gdb_session_create(struct sim *s, struct travel *t, const struct gdb_options *o)
{
    struct gdb_session *g = alloc_zeroed(1, sizeof *g);
    g->sim = s;
    g->travel = t;
    g->options = *o;
    g->cpus = sim_get_config(s)->cpus;
    return g;
}

void gdb_session_free(struct gdb_session *g)
{
    if (g) {
        points_clear(g);
        free(g);
    }
}

static enum gdb_reply ok(struct gdb_text *out)
{
    gdb_put(out, "OK");
    return GDB_REPLY;
}

static enum gdb_reply refuse(struct gdb_text *out)
{
    gdb_put(out, "E01");
    return GDB_REPLY;
}

/* ---- threads ---- */

/* A thread's vCPU; 0 and -1, any and all of them, are `any`. */
static bool take_thread(struct gdb_session *g, const char **at, unsigned any, unsigned *cpu)
{
    uint64_t number;
    if (gdb_take_word(at, "-1")) {
        number = 0;
    } else if (!gdb_take_hex(at, &number)) {
        return false;
    }
    *cpu = number ? (unsigned)number - 1 : any;
    return number <= g->cpus;
}

static enum gdb_reply select_thread(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    bool registers = gdb_take_char(&at, 'g');
    unsigned *which = registers ? &g->selected : &g->stepped, cpu;
    if ((!registers && !gdb_take_char(&at, 'c')) || !take_thread(g, &at, *which, &cpu)) {
        return refuse(out);
    }
    *which = cpu;
    return ok(out);
}

static void list_threads(const struct gdb_session *g, struct gdb_text *out)
{
    for (unsigned i = 0; i < g->cpus; i++) {
        gdb_putf(out, "%c%x", i ? ',' : 'm', i + 1);
    }
}

static void describe_thread(const struct gdb_session *g, unsigned cpu, struct gdb_text *out)
{
    struct sim_regs r;
    char name[64];
    sim_get_regs(g->sim, cpu, &r);
    snprintf(name, sizeof name, "CPU %u, ring %u%s", cpu, r.cpl, r.halted ? ", halted" : "");
    gdb_put_hex(out, name, strlen(name));
}

/* ---- registers ---- */

static enum gdb_reply read_registers(struct gdb_session *g, struct gdb_text *out)
{
    for (unsigned i = 0; i < gdb_register_count(); i++) {
        uint8_t bytes[GDB_REGISTER_BYTES_MAX];
        gdb_put_hex(out, bytes, gdb_register_get(g->sim, g->selected, i, bytes));
    }
    return GDB_REPLY;
}

static enum gdb_reply read_register(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    uint64_t number;
    uint8_t bytes[GDB_REGISTER_BYTES_MAX];
    if (!gdb_take_hex(&at, &number) || number >= gdb_register_count()) {
        return refuse(out);
    }
    gdb_put_hex(out, bytes, gdb_register_get(g->sim, g->selected, (unsigned)number, bytes));
    return GDB_REPLY;
}

/* One that has the value already is left alone, whoever else could set it. */
static bool set_register(struct gdb_session *g, unsigned number, const uint8_t *bytes)
{
    uint8_t now[GDB_REGISTER_BYTES_MAX];
    struct effect f;
    unsigned size = gdb_register_get(g->sim, g->selected, number, now);
    return memcmp(now, bytes, size) == 0 ||
           (gdb_register_effect(g->selected, number, bytes, &f) && travel_effect(g->travel, &f, NULL));
}

static enum gdb_reply write_register(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    uint64_t number;
    uint8_t bytes[GDB_REGISTER_BYTES_MAX];
    bool good = gdb_take_hex(&at, &number) && number < gdb_register_count() && gdb_take_char(&at, '=') &&
                gdb_take_bytes(&at, bytes, gdb_register_bytes((unsigned)number));
    return good && set_register(g, (unsigned)number, bytes) ? ok(out) : refuse(out);
}

static enum gdb_reply write_registers(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    uint8_t bytes[GDB_REGISTER_BYTES_MAX];
    for (unsigned i = 0; i < gdb_register_count(); i++) {
        if (!gdb_take_bytes(&at, bytes, gdb_register_bytes(i)) || !set_register(g, i, bytes)) {
            return refuse(out);
        }
    }
    return ok(out);
}

/* ---- memory ---- */

static uint64_t room_in_page(uint64_t address, uint64_t size)
{
    uint64_t room = PAGE_SIZE_BYTES - (address & PAGE_MASK_BITS);
    return size < room ? size : room;
}

static bool take_place(const char **at, uint64_t *address, uint64_t *size)
{
    return gdb_take_hex(at, address) && gdb_take_char(at, ',') && gdb_take_hex(at, size);
}

/* As much as there is. */
static enum gdb_reply read_memory(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    uint64_t address, size;
    if (!take_place(&at, &address, &size)) {
        return refuse(out);
    }
    for (uint64_t left = size < READ_MAX ? size : READ_MAX; left > 0;) {
        uint8_t bytes[PAGE_SIZE_BYTES];
        uint64_t n = room_in_page(address, left);
        if (!sim_read_linear(g->sim, g->selected, lin(address), bytes, n)) {
            return out->size ? GDB_REPLY : refuse(out);
        }
        gdb_put_hex(out, bytes, n);
        address += n;
        left -= n;
    }
    return GDB_REPLY;
}

/* All of it is there, or nothing is written. */
static bool is_there(const struct gdb_session *g, uint64_t address, uint64_t size)
{
    for (uint64_t n; size > 0; address += n, size -= n) {
        uint8_t bytes[PAGE_SIZE_BYTES];
        n = room_in_page(address, size);
        if (!sim_read_linear(g->sim, g->selected, lin(address), bytes, n)) {
            return false;
        }
    }
    return true;
}

static bool write_memory(struct gdb_session *g, uint64_t address, const uint8_t *bytes, uint64_t size)
{
    if (!is_there(g, address, size)) {
        return false;
    }
    for (uint64_t n; size > 0; address += n, bytes += n, size -= n) {
        phys_t at;
        n = room_in_page(address, size < EFFECT_BYTES_MAX ? size : EFFECT_BYTES_MAX);
        struct effect f = {.kind = EFFECT_MEMORY, .byte_count = (uint32_t)n};
        memcpy(f.bytes, bytes, n);
        if (!sim_translate(g->sim, g->selected, lin(address), &at)) {
            return false;
        }
        f.arg[0] = at.v;
        if (!travel_effect(g->travel, &f, NULL)) {
            return false;
        }
    }
    return true;
}

static enum gdb_reply write_hex(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    uint64_t address, size;
    uint8_t bytes[GDB_PACKET_MAX / 2];
    bool good = take_place(&at, &address, &size) && gdb_take_char(&at, ':') && size <= sizeof bytes &&
                gdb_take_bytes(&at, bytes, size);
    return good && write_memory(g, address, bytes, size) ? ok(out) : refuse(out);
}

static enum gdb_reply write_binary(struct gdb_session *g, const char *at, const char *end,
                                   struct gdb_text *out)
{
    uint64_t address, size;
    bool good = take_place(&at, &address, &size) && gdb_take_char(&at, ':') && size == (uint64_t)(end - at);
    return good && write_memory(g, address, (const uint8_t *)at, size) ? ok(out) : refuse(out);
}

/* ---- breakpoints ---- */

static enum gdb_reply change_point(struct gdb_session *g, bool add, const char *at, struct gdb_text *out)
{
    uint64_t type, address, size;
    if (!gdb_take_hex(&at, &type) || !gdb_take_char(&at, ',') || !take_place(&at, &address, &size) ||
        size == 0) {
        return refuse(out);
    }
    if (type >= POINT_TYPES || *at == ';') { /* conditions and commands are GDB's own to see to */
        return GDB_REPLY;
    }
    bool good = add ? point_add(g, (enum point_type)type, address, size)
                    : point_remove(g, (enum point_type)type, address, size);
    return good ? ok(out) : refuse(out);
}

/* ---- running ---- */

static enum gdb_reply stopped(struct gdb_session *g, struct gdb_text *out)
{
    put_stop(g, out);
    return GDB_REPLY;
}

/* vCont: of its actions the first that steps decides, which is how GDB uses it; others go on. */
static enum gdb_reply resume_threads(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    while (gdb_take_char(&at, ';')) {
        char action = *at;
        uint64_t first = 0, end = 0, ignored;
        unsigned cpu = g->stepped;
        at += action != 0;
        bool good = action == 'c' || action == 's' ||
                    ((action == 'C' || action == 'S') && gdb_take_hex(&at, &ignored)) ||
                    (action == 'r' && gdb_take_hex(&at, &first) && gdb_take_char(&at, ',') &&
                     gdb_take_hex(&at, &end));
        good = good && (!gdb_take_char(&at, ':') || take_thread(g, &at, g->stepped, &cpu));
        if (!good) {
            return refuse(out);
        }
        if (action != 'c' && action != 'C') {
            step(g, cpu, first, end);
            return stopped(g, out);
        }
    }
    resume(g);
    return stopped(g, out);
}

static enum gdb_reply answer_back(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    if (strcmp(at, "s") == 0) {
        step_back(g, g->stepped);
    } else if (strcmp(at, "c") == 0) {
        resume_back(g);
    } else {
        return GDB_REPLY;
    }
    return stopped(g, out);
}

/* `c`, `s`, with a signal, which is ignored, or an address, which is not built: GDB uses vCont. */
static enum gdb_reply answer_plain(struct gdb_session *g, char what, struct gdb_text *out)
{
    if (what == 's' || what == 'S') {
        step(g, g->stepped, 0, 0);
    } else {
        resume(g);
    }
    return stopped(g, out);
}

static enum gdb_reply answer_v(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    if (gdb_take_word(&at, "Cont?")) {
        gdb_put(out, "vCont;c;C;s;S;r");
    } else if (gdb_take_word(&at, "Cont")) {
        return resume_threads(g, at, out);
    } else if (gdb_take_word(&at, "Kill")) {
        ok(out);
        return GDB_KILL;
    }
    return GDB_REPLY;
}

/* ---- queries ---- */

/* OFFSET,SIZE of a document. */
static enum gdb_reply put_part(const struct gdb_text *document, const char *at, struct gdb_text *out)
{
    uint64_t offset, size;
    if (!take_place(&at, &offset, &size) || offset > document->size) {
        return refuse(out);
    }
    uint64_t left = document->size - offset, most = GDB_PACKET_MAX / 2;
    size = size < most ? size : most;
    gdb_put(out, size < left ? "m" : "l");
    gdb_put_binary(out, document->bytes + offset, size < left ? size : left);
    return GDB_REPLY;
}

/* Linear addresses are all memory as far as GDB may ask; what is not mapped is refused when it does. */
static void put_memory_map(struct gdb_text *out)
{
    gdb_put(out, "<?xml version=\"1.0\"?><memory-map>"
                 "<memory type=\"ram\" start=\"0x0\" length=\"0xffffffffffffffff\"/></memory-map>");
}

static void put_threads(const struct gdb_session *g, struct gdb_text *out)
{
    gdb_put(out, "<?xml version=\"1.0\"?><threads>");
    for (unsigned i = 0; i < g->cpus; i++) {
        struct sim_regs r;
        sim_get_regs(g->sim, i, &r);
        gdb_putf(out, "<thread id=\"%x\" core=\"%u\" name=\"CPU %u\">%s</thread>", i + 1, i, i,
                 r.halted     ? "halted"
                 : r.cpl == 3 ? "user"
                              : "kernel");
    }
    gdb_put(out, "</threads>");
}

static enum gdb_reply answer_document(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    struct gdb_text document = {0};
    enum gdb_reply reply = GDB_REPLY;
    if (gdb_take_word(&at, "features:read:target.xml:")) {
        gdb_describe(&document);
    } else if (gdb_take_word(&at, "memory-map:read::")) {
        put_memory_map(&document);
    } else if (gdb_take_word(&at, "threads:read::")) {
        put_threads(g, &document);
    }
    if (document.size) {
        reply = put_part(&document, at, out);
    }
    gdb_text_deinit(&document);
    return reply;
}

static enum gdb_reply answer_monitor(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    char command[256];
    size_t size = strlen(at) / 2;
    if (size >= sizeof command || !gdb_take_bytes(&at, (uint8_t *)command, size)) {
        return refuse(out);
    }
    struct gdb_text text = {0};
    command[size] = 0;
    monitor(g, command, &text);
    gdb_put_hex(out, text.bytes, text.size);
    gdb_text_deinit(&text);
    return out->size ? GDB_REPLY : ok(out);
}

static enum gdb_reply answer_query(struct gdb_session *g, const char *at, struct gdb_text *out)
{
    unsigned cpu;
    if (gdb_take_word(&at, "Supported")) {
        gdb_putf(
            out,
            "PacketSize=%x;qXfer:features:read+;qXfer:memory-map:read+;qXfer:threads:read+;QStartNoAckMode+;"
            "swbreak+;hwbreak+;vContSupported+;ReverseStep+;ReverseContinue+",
            GDB_PACKET_MAX);
    } else if (gdb_take_word(&at, "Xfer:")) {
        return answer_document(g, at, out);
    } else if (gdb_take_word(&at, "Rcmd,")) {
        return answer_monitor(g, at, out);
    } else if (gdb_take_word(&at, "fThreadInfo")) {
        list_threads(g, out);
    } else if (gdb_take_word(&at, "sThreadInfo")) {
        gdb_put(out, "l");
    } else if (gdb_take_word(&at, "ThreadExtraInfo,") && take_thread(g, &at, 0, &cpu)) {
        describe_thread(g, cpu, out);
    } else if (strcmp(at, "C") == 0) {
        gdb_putf(out, "QC%x", g->selected + 1);
    } else if (gdb_take_word(&at, "Attached")) {
        gdb_put(out, "1");
    }
    return GDB_REPLY;
}

/* ---- packets ---- */

enum gdb_reply gdb_session_answer(struct gdb_session *g, const uint8_t *data, size_t size,
                                  struct gdb_text *out)
{
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    unsigned cpu;
    switch (size ? (char)data[0] : 0) {
    case '?':
        return stopped(g, out);
    case 'g':
        return read_registers(g, out);
    case 'G':
        return write_registers(g, at, out);
    case 'p':
        return read_register(g, at, out);
    case 'P':
        return write_register(g, at, out);
    case 'm':
        return read_memory(g, at, out);
    case 'M':
        return write_hex(g, at, out);
    case 'X':
        return write_binary(g, at, end, out);
    case 'H':
        return select_thread(g, at, out);
    case 'T':
        return take_thread(g, &at, 0, &cpu) ? ok(out) : refuse(out);
    case 'Z':
    case 'z':
        return change_point(g, data[0] == 'Z', at, out);
    case 'c':
    case 'C':
    case 's':
    case 'S':
        return answer_plain(g, (char)data[0], out);
    case 'b':
        return answer_back(g, at, out);
    case 'v':
        return answer_v(g, at, out);
    case 'q':
        return answer_query(g, at, out);
    case 'Q':
        return strcmp(at, "StartNoAckMode") == 0 ? (ok(out), GDB_NO_ACK) : GDB_REPLY;
    case 'D':
        ok(out);
        return GDB_DETACH;
    case 'k':
        return GDB_KILL;
    default:
        return GDB_REPLY; /* empty: not known */
    }
}
