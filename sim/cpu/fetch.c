/*
 * Fetching one instruction through the MMU, byte by byte where blocks cannot help: it crosses a page, or lies
 * outside RAM, or a store to it is still queued. The second page is touched only when the bytes of the first
 * do not suffice. Source: APM vol. 2, "Page-Fault Exception"; vol. 3, "Instruction Length".
 */

#include "cpu/fetch.h"
#include "cpu/block.h"
#include "cpu/segment.h"

#define BYTES_MAX 15u

struct fetched {
    uint8_t bytes[BYTES_MAX];
    unsigned got, first_bytes; /* of them, in the first page */
    phys_t at, rest;
};

/* Fetches what the next page has. */
static bool fetch_more(struct cpu *cpu, struct fetched *f)
{
    lin_t a;
    unsigned more;
    phys_t at;
    if (!segment_fetch(cpu, cpu->rip + f->got, &a) ||
        !mem_fetch(cpu, a, f->bytes + f->got, BYTES_MAX - f->got, &more, &at)) {
        return false;
    }
    if (f->got == 0) {
        f->at = at;
        f->first_bytes = more;
    } else {
        f->rest = at;
    }
    f->got += more;
    return true;
}

static bool same_start(const struct fetched *f, const struct insn *in)
{
    unsigned n = f->got < in->length ? f->got : in->length;
    return memcmp(f->bytes, in->bytes, n) == 0;
}

/* Decodes; asks for more bytes as long as they are needed. */
static enum flow decode_fetched(struct cpu *cpu, struct fetched *f, struct insn *out)
{
    enum decode_result result;
    while ((result = insn_decode(cpu->mode, f->bytes, f->got, out)) == DECODE_SHORT && f->got < BYTES_MAX) {
        if (!fetch_more(cpu, f)) {
            return FLOW_FAULT;
        }
    }
    if (result == DECODE_UD) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    return result == DECODE_OK ? FLOW_NEXT : cpu_fault_code(cpu, VECTOR_GP, 0);
}

/* Uses the memo of an instruction that was here before. Bytes that are the beginning of it do not suffice
 * alone, so the rest may be fetched; when that differs, *f has it and nothing is lost. */
static enum flow recall(struct cpu *cpu, struct fetched *f, const struct insn_memo *memo, bool *found)
{
    *found = false;
    if (memo->insn.length == 0 || memo->mode != cpu->mode) {
        return FLOW_NEXT;
    }
    while (same_start(f, &memo->insn)) {
        if (f->got >= memo->insn.length) {
            *found = true;
            return FLOW_NEXT;
        }
        if (!fetch_more(cpu, f)) {
            return FLOW_FAULT;
        }
    }
    return FLOW_NEXT;
}

/* The last byte must lie within the code segment as the first does. */
static enum flow check_end(struct cpu *cpu, const struct insn *in)
{
    lin_t last;
    bool inside = cpu->mode == MODE_LONG64 || segment_fetch(cpu, cpu->rip + in->length - 1, &last);
    return inside ? FLOW_NEXT : FLOW_FAULT;
}

static struct timed_code code_of(const struct fetched *f, const struct insn *in)
{
    unsigned first = in->length < f->first_bytes ? in->length : f->first_bytes;
    return (struct timed_code){f->at, f->rest, first, in->length - first};
}

enum flow fetch_insn(struct cpu *cpu, struct insn *out, struct timed_code *code)
{
    struct fetched f = {.got = 0};
    struct insn_memo *memo = block_cache_memo(cpu->blocks, cpu->rip);
    bool found;
    if (!fetch_more(cpu, &f) || recall(cpu, &f, memo, &found) != FLOW_NEXT) {
        return FLOW_FAULT;
    }
    if (found) {
        *out = memo->insn;
    } else {
        enum flow flow = decode_fetched(cpu, &f, out);
        if (flow != FLOW_NEXT) {
            return flow;
        }
        *memo = (struct insn_memo){cpu->mode, *out};
    }
    *code = code_of(&f, out);
    return check_end(cpu, out);
}
