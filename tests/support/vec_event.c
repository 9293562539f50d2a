/* What must be there after an exception or interrupt went through the gates of vec_mode_state: interrupt gates that
 * lead to level 0. Source: APM vol. 2, "Exceptions and Interrupts", the sections on real, legacy protected and long
 * mode control transfers. */

#include "vec.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t vector;
    bool has_error;
} events[] = {{"DE", 0, false}, {"DB", 1, false},  {"NMI", 2, false}, {"BP", 3, false}, {"OF", 4, false},
              {"BR", 5, false}, {"UD", 6, false},  {"NM", 7, false},  {"DF", 8, true},  {"TS", 10, true},
              {"NP", 11, true}, {"SS", 12, true},  {"GP", 13, true},  {"PF", 14, true}, {"MF", 16, false},
              {"AC", 17, true}, {"MC", 18, false}, {"XM", 19, false}};

/* How wide the stack pointer is: 2, 4 or 8 bytes. */
static unsigned stack_bytes(const struct vec_state *s)
{
    return vec_64bit(s) ? 8 : s->field[VEC_SS_ATTR] & SEG_DB ? 4 : 2;
}

void vec_push(struct vec_state *s, uint64_t value, unsigned size_bytes)
{
    unsigned width = stack_bytes(s);
    uint64_t mask = bits_size_mask(width);
    uint64_t sp = (s->field[VEC_RSP] - size_bytes) & mask;
    uint64_t base = width == 8 ? 0 : s->field[VEC_SS_BASE];
    vec_poke(s, base + sp, value, size_bytes);
    s->field[VEC_RSP] = width == 2 ? (s->field[VEC_RSP] & ~mask) | sp : sp;
}

struct frame {
    uint64_t ss, rsp, rflags, cs, rip;
    bool has_error;
    uint32_t error;
};

static void deliver_real(struct vec_state *s, unsigned vector, const struct frame *f)
{
    vec_push(s, f->rflags & 0xffff, 2);
    vec_push(s, f->cs, 2);
    vec_push(s, f->rip, 2);
    s->field[VEC_CS] = vec_peek(s, 4 * vector + 2, 2);
    s->field[VEC_CS_BASE] = s->field[VEC_CS] << 4;
    s->field[VEC_RIP] = vec_peek(s, 4 * vector, 2);
    s->field[VEC_RFLAGS] &= ~(RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
}

static void deliver_legacy(const struct vec *v, struct vec_state *s, const struct frame *f)
{
    unsigned level = (unsigned)s->field[VEC_CPL];
    if (level != 0) {
        s->field[VEC_RSP] = vec_peek(s, s->field[VEC_TR_BASE] + 4, 4);
        vec_load_segment(v, s, VEC_SS, vec_peek(s, s->field[VEC_TR_BASE] + 8, 2));
        vec_push(s, f->ss, 4);
        vec_push(s, f->rsp, 4);
    }
    vec_push(s, f->rflags, 4);
    vec_push(s, f->cs, 4);
    vec_push(s, f->rip, 4);
    if (f->has_error) {
        vec_push(s, f->error, 4);
    }
    vec_load_segment(v, s, VEC_CS, 0x08);
}

static void deliver_long(const struct vec *v, struct vec_state *s, const struct frame *f)
{
    vec_load_segment(v, s, VEC_CS, 0x10);
    if (s->field[VEC_CPL] != 0) {
        s->field[VEC_RSP] = vec_peek(s, s->field[VEC_TR_BASE] + 4, 8);
        vec_load_segment(v, s, VEC_SS, 0);
    }
    s->field[VEC_RSP] &= ~UINT64_C(15);
    const uint64_t words[] = {f->ss, f->rsp, f->rflags, f->cs, f->rip, f->error};
    for (unsigned i = 0; i < 5u + f->has_error; i++) {
        vec_push(s, words[i], 8);
    }
}

static void deliver(const struct vec *v, struct vec_state *s, unsigned vector, const struct frame *f)
{
    if (!(s->field[VEC_CR0] & CR0_PE)) {
        deliver_real(s, vector, f);
        return;
    }
    if (vec_long_mode(s)) {
        deliver_long(v, s, f);
    } else {
        deliver_legacy(v, s, f);
    }
    s->field[VEC_CPL] = 0;
    s->field[VEC_RIP] = VEC_HANDLER + 16 * vector;
    s->field[VEC_RFLAGS] &= ~(RFLAGS_IF | RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM);
}

/* "GP(8)" or "21": the vector, and the error code if it has one. */
static unsigned event_of(const struct vec *v, const char *text, struct frame *f)
{
    char *end;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        size_t length = strlen(events[i].name);
        if (strncmp(text, events[i].name, length) != 0) {
            continue;
        }
        text += length;
        f->has_error = events[i].has_error && (v->before.field[VEC_CR0] & CR0_PE);
        if (*text == '(') {
            text++;
            f->error = (uint32_t)vec_value(v, &text);
            return events[i].vector;
        }
        if (*text != '\0' || events[i].has_error) {
            vec_error(v, "an error code?", text);
        }
        return events[i].vector;
    }
    unsigned vector = (unsigned)strtoul(text, &end, 16);
    if (end == text || *end != '\0' || vector > 255) {
        vec_error(v, "no such event", text);
    }
    return vector;
}

void vec_event(const struct vec *v, struct vec_state *s, const char *text)
{
    bool fault = text[0] == '#';
    struct frame f = {.ss = s->field[VEC_SS],
                      .rsp = s->field[VEC_RSP],
                      .rflags = s->field[VEC_RFLAGS] | (fault ? RFLAGS_RF : 0),
                      .cs = s->field[VEC_CS],
                      .rip = s->field[VEC_RIP]};
    if (fault && s->field[VEC_RIP] == v->before.field[VEC_RIP] + v->code_bytes) {
        f.rip = v->before.field[VEC_RIP] +
                v->last_bytes; /* of the instruction that faults, unless the line said */
    }
    unsigned vector = event_of(v, text + 1, &f);
    deliver(v, s, vector, &f);
}
