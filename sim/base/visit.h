#ifndef ORRERY_BASE_VISIT_H
#define ORRERY_BASE_VISIT_H

/*
 * State visitors: each part of the machine lists its state once, field by field, in one function
 *
 *     void x_visit(struct x *x, struct visitor *v)
 *
 * and from that list come the digests, snapshots (save and load) and the name of the first field that differs.
 * Values are serialised little-endian and without padding, so the bytes are the same on every host.
 * Order of the calls is the serialisation format. Host pointers, caches of other state and statistics of the
 * host are never visited; what is derived from state is derived again when v->loading.
 *
 * What is loaded is not trusted: a function that uses a value to index or to count says what it must be
 * (visit_count, visit_require). A visitor that has failed goes on without changing anything more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How deep a digest or a save goes (docs/model.md, Identity). A field is visited when v->level >= its level. */
enum visit_level { VISIT_ARCH, VISIT_MACHINE, VISIT_MODEL };

struct visitor {
    enum visit_level level;
    bool loading; /* values are overwritten */
    bool failed;  /* a value cannot be what it must be, or the state ends too early */
    /* Handles count elements of size_bytes (1, 2, 4 or 8) each; may change them (load). */
    void (*array)(struct visitor *v, const char *name, void *elements, unsigned size_bytes, size_t count);
    /* Names a nested part, e.g. "cpu" 2 "lapic"; visit_leave ends it. May be NULL. */
    void (*enter)(struct visitor *v, const char *name, unsigned index);
    void (*leave)(struct visitor *v);
    /* The first failure, by name. May be NULL. */
    void (*refused)(struct visitor *v, const char *name);
};

static inline void visit_require(struct visitor *v, const char *name, bool good)
{
    if (!good && !v->failed) {
        v->failed = true;
        if (v->refused) {
            v->refused(v, name);
        }
    }
}

static inline void visit_u8(struct visitor *v, const char *name, uint8_t *p)
{
    v->array(v, name, p, 1, 1);
}

static inline void visit_u16(struct visitor *v, const char *name, uint16_t *p)
{
    v->array(v, name, p, 2, 1);
}

static inline void visit_u32(struct visitor *v, const char *name, uint32_t *p)
{
    v->array(v, name, p, 4, 1);
}

static inline void visit_u64(struct visitor *v, const char *name, uint64_t *p)
{
    v->array(v, name, p, 8, 1);
}

/* A bool travels as one byte, 0 or 1. It must hold a value even before a load. */
static inline void visit_bool(struct visitor *v, const char *name, bool *p)
{
    uint8_t byte = *p;
    v->array(v, name, &byte, 1, 1);
    visit_require(v, name, byte <= 1);
    *p = byte != 0;
}

/* A number of at most max: a count or an index. One that is too large fails and becomes 0. */
static inline void visit_count(struct visitor *v, const char *name, uint32_t *p, uint32_t max)
{
    v->array(v, name, p, 4, 1);
    visit_require(v, name, *p <= max);
    *p = *p <= max ? *p : 0;
}

/* The same for a byte, mostly an enumeration. */
static inline void visit_choice(struct visitor *v, const char *name, uint8_t *p, uint8_t max)
{
    v->array(v, name, p, 1, 1);
    visit_require(v, name, *p <= max);
    *p = *p <= max ? *p : 0;
}

static inline void visit_array(struct visitor *v, const char *name, void *elements, unsigned size_bytes,
                               size_t count)
{
    v->array(v, name, elements, size_bytes, count);
}

static inline void visit_enter(struct visitor *v, const char *name, unsigned index)
{
    if (v->enter) {
        v->enter(v, name, index);
    }
}

static inline void visit_leave(struct visitor *v)
{
    if (v->leave) {
        v->leave(v);
    }
}

/* A 128-bit digest, printed as 32 hexadecimal digits, high half first. */
struct digest {
    uint64_t hi, lo;
};

static inline bool digest_equal(struct digest a, struct digest b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static inline void visit_digest(struct visitor *v, const char *name, struct digest *d)
{
    visit_u64(v, name, &d->hi);
    visit_u64(v, name, &d->lo);
}

/* XXH3-128 of size bytes. */
struct digest digest_bytes(const void *p, size_t size);

/* The digesting visitor. Create, visit, finish (which frees it). */
struct digest_visitor;
struct digest_visitor *digest_visitor_create(enum visit_level level);
struct visitor *digest_visitor_base(struct digest_visitor *d);
struct digest digest_visitor_finish(struct digest_visitor *d);

/* A growing byte buffer: what save writes and load and compare read. */
struct state_buffer {
    uint8_t *bytes;
    size_t size, capacity, position;
};

void state_buffer_deinit(struct state_buffer *b);

/* Room for size bytes at the end, to be filled in. */
uint8_t *state_buffer_extend(struct state_buffer *b, size_t size);

/* The next size bytes from the position on, or NULL when there are fewer. */
const uint8_t *state_buffer_take(struct state_buffer *b, size_t size);

struct buffer_visitor {
    struct visitor base;
    struct state_buffer *buffer;
    bool differs;    /* compare: a difference was found, or the buffer ended */
    char where[192]; /* path of the first difference or failure */
    char path[160];
    unsigned path_ends[16], depth;
};

/* Writes what is visited to buffer, which it empties first. */
void save_visitor_init(struct buffer_visitor *s, enum visit_level level, struct state_buffer *buffer);
/* Overwrites what is visited from buffer, reading from position 0; fails when it is too short. */
void load_visitor_init(struct buffer_visitor *s, enum visit_level level, struct state_buffer *buffer);
/* Compares with buffer from position 0 on; differs and where tell the first difference by name. */
void compare_visitor_init(struct buffer_visitor *s, enum visit_level level, struct state_buffer *buffer);

#endif
