/* Vectors of system instructions and of the modes: runs the .vec files here (README.md has their grammar), then asks
 * whether each row of insn_sys.def and msr.def and each mode had its vectors. */

#include "vec.h"

#include <Zydis/Zydis.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DIRECTORY "tests/vectors/"

/* ---- what must be covered ---- */

struct row {
    const char *key; /* "CLTS", "MOV.CONTROL" */
    uint16_t mnemonic;
    enum insn_form form;
    unsigned good, faults, locked;
};

static struct row rows[] = {
#define INSN_FORM(m, form, exec, cost, flags, undefined) \
    {#m "." #form, ZYDIS_MNEMONIC_##m, FORM_##form, 0, 0, 0},
#define INSN(m, exec, cost, flags, undefined) {#m, ZYDIS_MNEMONIC_##m, FORM_PLAIN, 0, 0, 0},
#include "cpu/insn_sys.def"
#undef INSN
#undef INSN_FORM
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

/* Rows with nothing of one sort. Every row's LOCK prefix is #UD, which needs no line. */
static const struct {
    const char *key, *why;
    bool good;
} nothing[] = {
    {"RSM", "outside system-management mode it is always #UD", true},
    {"CPUID", "cannot fault", false},
    {"RDRAND", "cannot fault", false},
    {"RDSEED", "cannot fault", false},
    {"RDPID", "cannot fault", false},
};

struct msr {
    uint32_t number;
    const char *name;
    unsigned read, written, refused;
};

static struct msr msrs[] = {
#define MSR_FIELD(number, name, feature, field, reset, writable, unbuilt, check) {number, #name, 0, 0, 0},
#define MSR_PART(number, name, feature, field, kept, unbuilt)                    {number, #name, 0, 0, 0},
#define MSR_HOOK(number, name, feature, read, write)                             {number, #name, 0, 0, 0},
#include "cpu/msr.def"
#undef MSR_FIELD
#undef MSR_PART
#undef MSR_HOOK
};

#define MSR_COUNT (sizeof msrs / sizeof msrs[0])

/* Registers that take no value but their own, or every value. */
static const char *const msrs_read_only[] = {"PATCH_LEVEL",         "MTRRCAP",           "MCG_CAP",
                                             "LAST_BRANCH_FROM_IP", "LAST_BRANCH_TO_IP", "LAST_INT_FROM_IP",
                                             "LAST_INT_TO_IP"};
static const char *const msrs_any_value[] = {"TSC",       "STAR",     "SYSENTER_ESP", "SYSENTER_EIP",
                                             "SFMASK",    "TSC_AUX",  "PERF_CTR0",    "PERF_CTR1",
                                             "PERF_CTR2", "PERF_CTR3"};

static unsigned general[VEC_MODE_COUNT];
static unsigned vector_count;

static bool listed(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], name) == 0) {
            return true;
        }
    }
    return false;
}

#define LISTED(list, name) listed((list), sizeof(list) / sizeof(list)[0], (name))

static bool excused(const char *key, bool good)
{
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        if (strcmp(nothing[i].key, key) == 0 && nothing[i].good == good) {
            return true;
        }
    }
    return false;
}

/* ---- lines ---- */

static enum cpu_mode decode_mode(const struct vec *v)
{
    static const uint8_t cpu_modes[] = {
#define VEC_MODE(id, name, cpu_mode, level, code, data) MODE_##cpu_mode,
#include "vec_mode.def"
#undef VEC_MODE
    };
    return (enum cpu_mode)cpu_modes[v->mode];
}

/* The row that the line's key names; the bytes must decode to it, unless they are no instruction at all. */
static struct row *row_of(const struct vec *v)
{
    struct insn insn;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(rows[i].key, v->key) != 0) {
            continue;
        }
        if (insn_decode(decode_mode(v), v->code, v->code_bytes, &insn) == DECODE_OK &&
            insn.row != insn_row_find(rows[i].mnemonic, rows[i].form)) {
            vec_error(v, "the bytes are another instruction", insn_rows[insn.row].name);
        }
        return &rows[i];
    }
    return NULL;
}

static void count_msr(const struct vec *v)
{
    uint32_t number = (uint32_t)v->before.field[VEC_RCX];
    bool read = strcmp(v->key, "RDMSR") == 0;
    if (!read && strcmp(v->key, "WRMSR") != 0) {
        return;
    }
    for (size_t i = 0; i < MSR_COUNT; i++) {
        if (msrs[i].number == number) {
            msrs[i].read += read && !v->faults;
            msrs[i].written += !read && !v->faults && v->end == VEC_END_RUNS;
            msrs[i].refused += !read && (v->faults || v->end == VEC_END_NOT_MODELLED);
        }
    }
}

/* The same bytes after LOCK: #UD, whatever they are. */
static bool run_locked(struct vec_machine *m, const struct vec *v)
{
    char text[400], *p = text;
    struct vec *locked = calloc(1, sizeof *locked);
    assert_non_null(locked);
    p += sprintf(p, "%s | %s | f0", v->key, vec_mode_names[v->mode]);
    for (unsigned i = 0; i < v->code_bytes; i++) {
        p += sprintf(p, " %02x", v->code[i]);
    }
    sprintf(p, " | | #UD | LOCK is not allowed");
    assert_true(vec_parse(locked, v->file, v->line, text, v->mode));
    bool ok = vec_run(m, locked);
    free(locked);
    return ok;
}

static bool run_vector(struct vec_machine *m, const struct vec *v)
{
    struct row *row = row_of(v);
    bool ok = vec_run(m, v);
    vector_count++;
    if (row == NULL) {
        if (strcmp(v->key, "-") != 0) {
            vec_error(v, "no such row", v->key);
        }
        general[v->mode] += !v->faults;
        return ok;
    }
    row->faults += v->faults;
    row->good += !v->faults && v->end == VEC_END_RUNS;
    count_msr(v);
    if (!v->faults && row->locked++ == 0 && v->last_bytes == 0) {
        ok = run_locked(m, v) && ok;
    }
    return ok;
}

static bool run_line(struct vec_machine *m, struct vec *v, const char *file, unsigned number,
                     const char *text)
{
    bool ok = true, any = false;
    for (unsigned mode = 0; mode < VEC_MODE_COUNT; mode++) {
        if (vec_parse(v, file, number, text, (enum vec_mode)mode)) {
            any = true;
            ok = run_vector(m, v) && ok;
        }
    }
    if (!any) {
        vec_error(v, "no mode", text);
    }
    return ok;
}

/* "let NAME ITEMS" gives items a name; "@NAME " stands for them in the lines behind it. */
#define LETS_MAX 24u

struct lets {
    char name[LETS_MAX][24], items[LETS_MAX][400];
    unsigned count;
};

static void let(struct lets *lets, const char *text)
{
    assert_true(lets->count < LETS_MAX);
    assert_int_equal(sscanf(text, "let %23s %399[^\n]", lets->name[lets->count], lets->items[lets->count]),
                     2);
    lets->count++;
}

static void expand(const struct lets *lets, const char *text, char *out, size_t out_bytes)
{
    size_t n = 0;
    while (*text != '\0') {
        size_t length = text[0] == '@' ? strcspn(text + 1, " ") : 0;
        const char *items = NULL;
        for (unsigned i = 0; i < lets->count && length != 0; i++) {
            if (strlen(lets->name[i]) == length && strncmp(lets->name[i], text + 1, length) == 0) {
                items = lets->items[i];
            }
        }
        assert_true(n + (items ? strlen(items) : 1) < out_bytes);
        if (items != NULL) {
            strcpy(out + n, items);
            n += strlen(items);
            text += length + 1;
        } else {
            out[n++] = *text++;
        }
    }
    out[n] = '\0';
}

/* Lines end in a backslash when the next one continues them; # at the beginning makes a comment. */
static void run_file(void **state)
{
    char path[200], text[2048], full[2048], piece[1024];
    struct lets lets = {.count = 0};
    unsigned number = 0, failed = 0;
    const char *name = *state;
    struct vec *v = calloc(1, sizeof *v);
    struct vec_machine *m = vec_machine_create();
    snprintf(path, sizeof path, DIRECTORY "%s", name);
    FILE *f = fopen(path, "r");
    assert_non_null(v);
    assert_non_null(f);
    text[0] = '\0';
    while (fgets(piece, sizeof piece, f) != NULL) {
        number++;
        size_t length = strcspn(piece, "\n");
        bool more = length > 0 && piece[length - 1] == '\\';
        piece[more ? length - 1 : length] = '\0';
        assert_true(strlen(text) + strlen(piece) < sizeof text);
        strcat(text, piece);
        if (more) {
            continue;
        }
        if (strncmp(text, "let ", 4) == 0) {
            let(&lets, text);
        } else if (text[0] != '#' && text[0] != '\0') {
            expand(&lets, text, full, sizeof full);
            failed += !run_line(m, v, path, number, full);
        }
        text[0] = '\0';
    }
    fclose(f);
    vec_machine_destroy(m);
    free(v);
    assert_int_equal(failed, 0);
}

/* ---- coverage ---- */

static void each_row_of_the_system_table_has_good_and_faulting_vectors(void **state)
{
    unsigned missing = 0;
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].good == 0 && !excused(rows[i].key, true)) {
            missing++;
            print_error("%s: no vector in which it completes\n", rows[i].key);
        }
        if (rows[i].faults == 0 && !excused(rows[i].key, false)) {
            missing++;
            print_error("%s: no vector in which it faults\n", rows[i].key);
        }
    }
    assert_int_equal(missing, 0);
}

static void each_model_specific_register_is_read_written_and_refused(void **state)
{
    unsigned missing = 0;
    (void)state;
    for (size_t i = 0; i < MSR_COUNT; i++) {
        const struct msr *r = &msrs[i];
        bool written = r->written != 0 || LISTED(msrs_read_only, r->name);
        bool refused = r->refused != 0 || LISTED(msrs_any_value, r->name);
        /* TSC_ADJUST is not reported by the default model: there, both are #GP. */
        bool absent = strcmp(r->name, "TSC_ADJUST") == 0 && r->refused != 0;
        if (!absent && (r->read == 0 || !written || !refused)) {
            missing++;
            print_error("%s: read %u, written %u, refused %u\n", r->name, r->read, r->written, r->refused);
        }
    }
    assert_int_equal(missing, 0);
}

static void each_mode_has_vectors_of_general_instructions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VEC_MODE_COUNT; i++) {
        print_message("%s: %u vectors of general instructions\n", vec_mode_names[i], general[i]);
        assert_true(general[i] >= 8);
    }
    print_message("%u vectors\n", vector_count);
}

#define VEC_FILE(sentence, file)                 \
    {                                            \
        (sentence), run_file, NULL, NULL, (file) \
    }

static char control_vec[] = "control.vec", msr_vec[] = "msr.vec", tables_vec[] = "tables.vec",
            segments_vec[] = "segments.vec", far_vec[] = "far.vec", interrupt_vec[] = "interrupt.vec",
            iret_vec[] = "iret.vec", syscall_vec[] = "syscall.vec", io_vec[] = "io.vec",
            misc_vec[] = "misc.vec", debug_vec[] = "debug.vec", fault_vec[] = "fault.vec",
            modes_vec[] = "modes.vec", paging_vec[] = "paging.vec", general_vec[] = "general.vec";

int main(void)
{
    const struct CMUnitTest tests[] = {
        VEC_FILE("control_registers_follow_the_manual", control_vec),
        VEC_FILE("model_specific_registers_follow_the_manual", msr_vec),
        VEC_FILE("descriptor_table_instructions_follow_the_manual", tables_vec),
        VEC_FILE("segment_loads_and_limits_follow_the_manual", segments_vec),
        VEC_FILE("far_transfers_follow_the_manual", far_vec),
        VEC_FILE("interrupts_and_gates_follow_the_manual", interrupt_vec),
        VEC_FILE("interrupt_returns_follow_the_manual", iret_vec),
        VEC_FILE("system_calls_follow_the_manual", syscall_vec),
        VEC_FILE("ports_and_their_permission_follow_the_manual", io_vec),
        VEC_FILE("flags_waiting_time_and_caches_follow_the_manual", misc_vec),
        VEC_FILE("debug_registers_and_traps_follow_the_manual", debug_vec),
        VEC_FILE("faults_during_delivery_follow_the_manual", fault_vec),
        VEC_FILE("mode_switches_follow_the_manual", modes_vec),
        VEC_FILE("paging_and_its_faults_follow_the_manual", paging_vec),
        VEC_FILE("general_instructions_follow_the_manual_in_every_mode", general_vec),
        cmocka_unit_test(each_row_of_the_system_table_has_good_and_faulting_vectors),
        cmocka_unit_test(each_model_specific_register_is_read_written_and_refused),
        cmocka_unit_test(each_mode_has_vectors_of_general_instructions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
