/* The parameters of a machine: defaults, names, text to value, bounds. */

#include "machine/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parameters.inc"

#define RTC_START_2026  INT64_C(1767225600)    /* 2026-01-01 00:00:00 UTC */
#define RTC_SECONDS_MAX UINT64_C(253402300799) /* the last of year 9999: what CMOS can show */

enum parameter_kind { KIND_NUMBER, KIND_SIZE, KIND_TEXT, KIND_FILES, KIND_WORD };

struct parameter_row {
    const char *name, *argument, *help;
    enum parameter_kind kind;
};

_Static_assert(PARAMETER_COUNT <= 32, "a bit for each in sim_config.given");

static const struct parameter_row rows[PARAMETER_COUNT] = {
#define CONFIG(id, name, kind, argument, help) [PARAMETER_##id] = {name, argument, help, KIND_##kind},
#include "machine/config.def"
#undef CONFIG
};

void sim_config_init(struct sim_config *c)
{
    *c = (struct sim_config){
        .cpus = 1,
        .memory_bytes = UINT64_C(256) << 20,
        .numa_nodes = 1,
        .board = BOARD_PC,
        .engine = ENGINE_FAST,
        .memory_model = MODEL_DEFAULT,
        .seed = 1,
        .rtc_start = RTC_START_2026,
        .instant_serial = true,
        .translate = true,
    };
}

void sim_config_visit(struct sim_config *c, struct visitor *v)
{
    uint8_t board = (uint8_t)c->board, engine = (uint8_t)c->engine;
    uint64_t rtc_start = (uint64_t)c->rtc_start;
    visit_u32(v, "cpus", &c->cpus);
    visit_u64(v, "memory", &c->memory_bytes);
    visit_u64(v, "memory limit", &c->memory_limit_bytes);
    visit_u32(v, "NUMA nodes", &c->numa_nodes);
    visit_choice(v, "board", &board, BOARD_MICROVM);
    visit_choice(v, "engine", &engine, ENGINE_TIMED);
    visit_u64(v, "seed", &c->seed);
    visit_u64(v, "RTC start", &rtc_start);
    visit_bool(v, "instant serial ports", &c->instant_serial);
    visit_bool(v, "entropy source", &c->entropy);
    visit_count(v, "disks", &c->disk_count, SIM_DISKS_MAX);
    c->board = (enum sim_board)board;
    c->engine = (enum sim_engine)engine;
    c->rtc_start = (int64_t)rtc_start;
}

static const struct {
    const char *name;
    uint32_t number;
} versions[VERSION_COUNT] = {
#define VERSION(id, name, number, what) [VERSION_##id] = {name, number},
#include "machine/version.def"
#undef VERSION
};

uint32_t sim_version(enum sim_version v)
{
    return versions[v].number;
}

const char *sim_version_name(enum sim_version v)
{
    return versions[v].name;
}

const char *sim_parameter_name(enum sim_parameter p)
{
    return rows[p].name;
}

const char *sim_parameter_argument(enum sim_parameter p)
{
    return rows[p].argument;
}

const char *sim_parameter_help(enum sim_parameter p)
{
    return rows[p].help;
}

bool sim_parameter_is_files(enum sim_parameter p)
{
    return rows[p].kind == KIND_FILES;
}

int sim_parameter_find(const char *name)
{
    const struct parameters_entry *found = parameters_find(name, strlen(name));
    return found ? found->value : -1;
}

/* ---- text to value ---- */

static bool parse_number(const char *text, bool size, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    unsigned shift = !size ? 0 : *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    end += shift != 0;
    *out = (uint64_t)v << shift;
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && *out >> shift == v;
}

/* The place of a word in "one|two". */
static bool parse_word(const char *text, const char *words, uint64_t *out)
{
    size_t length = strlen(text);
    *out = 0;
    for (;; (*out)++) {
        size_t here = strcspn(words, "|");
        if (here == length && memcmp(words, text, here) == 0) {
            return true;
        }
        if (!words[here]) {
            return false;
        }
        words += here + 1;
    }
}

static bool parse(const struct parameter_row *row, const char *text, uint64_t *out)
{
    switch (row->kind) {
    case KIND_NUMBER:
        return parse_number(text, false, out);
    case KIND_SIZE:
        return parse_number(text, true, out);
    case KIND_WORD:
        return parse_word(text, row->argument, out);
    case KIND_TEXT:
    case KIND_FILES:
        *out = 0;
        return text[0] != 0;
    }
    return false;
}

/* ---- bounds of one value ---- */

static bool cpus_legal(uint64_t cpus)
{
    return cpus >= 1 && cpus <= SIM_CPUS_MAX;
}

static bool memory_legal(uint64_t bytes)
{
    return bytes >= SIM_MEMORY_MIN && bytes <= SIM_MEMORY_MAX && (bytes & 0xfffff) == 0;
}

static bool nodes_legal(uint64_t nodes)
{
    return nodes >= 1 && nodes <= SIM_NODES_MAX;
}

static bool store_capacity_legal(uint64_t entries)
{
    return entries >= 1 && entries <= STORE_QUEUE_MAX;
}

/* Stores what fits; false: the value is out of its bounds. */
static bool store_small(unsigned *field, uint64_t value, bool legal)
{
    *field = legal ? (unsigned)value : *field;
    return legal;
}

static bool add_disk(struct sim_config *c, const char *file)
{
    if (c->disk_count == SIM_DISKS_MAX) {
        return false;
    }
    c->disks[c->disk_count++] = file;
    return true;
}

static bool assign(struct sim_config *c, enum sim_parameter p, uint64_t value, const char *text)
{
    switch (p) {
    case PARAMETER_CPUS:
        return store_small(&c->cpus, value, cpus_legal(value));
    case PARAMETER_MEMORY:
        c->memory_bytes = value;
        return memory_legal(value);
    case PARAMETER_MEMORY_LIMIT:
        c->memory_limit_bytes = value;
        return true;
    case PARAMETER_NUMA:
        return store_small(&c->numa_nodes, value, nodes_legal(value));
    case PARAMETER_BOARD:
        c->board = (enum sim_board)value;
        return true;
    case PARAMETER_ENGINE:
        c->engine = (enum sim_engine)value;
        return true;
    case PARAMETER_MACHINE:
        c->machine = text;
        return true;
    case PARAMETER_MEMORY_MODEL:
        c->memory_model = value ? MODEL_TSO : MODEL_SC;
        return true;
    case PARAMETER_ORDER:
        c->lookahead = value != 0;
        return true;
    case PARAMETER_STORE_CAPACITY:
        return store_small(&c->store_capacity, value, store_capacity_legal(value));
    case PARAMETER_CPU:
        c->cpu_model = text;
        return true;
    case PARAMETER_DISK:
        return add_disk(c, text);
    case PARAMETER_ENTROPY:
        c->entropy = value != 0;
        return true;
    case PARAMETER_SEED:
        c->seed = value;
        return true;
    case PARAMETER_RTC:
        c->rtc_start = (int64_t)value;
        return value <= RTC_SECONDS_MAX;
    case PARAMETER_SERIAL_TIMING:
        c->instant_serial = value == 0;
        return true;
    case PARAMETER_BACKEND:
        c->translate = value != 0;
        return true;
    case PARAMETER_BLOCKS:
        c->single_step_blocks = value != 0;
        return true;
    case PARAMETER_COUNT:
        break;
    }
    return false;
}

bool sim_config_set(struct sim_config *c, enum sim_parameter p, const char *text, struct error *e)
{
    uint64_t value;
    const struct parameter_row *row = &rows[p];
    if (!parse(row, text, &value) || !assign(c, p, value, text)) {
        const char *words = row->kind == KIND_WORD ? row->argument : "";
        return error_set(e, "%s '%s': %s%s%s", row->name, text, words, words[0] ? "; " : "", row->help);
    }
    c->given |= UINT32_C(1) << p;
    return true;
}

/* ---- the whole: also for those who fill the structure themselves ---- */

static bool check_timing(const struct sim_config *c, struct error *e)
{
    const struct timing_params *t = c->timing;
    if (c->lookahead && (!t || c->memory_model == MODEL_SC)) {
        return error_set(e, "order lookahead: only under a timing model (engine timed, a machine that is not "
                            "flat), with memory model tso");
    }
    if (t && c->engine == ENGINE_FAST) {
        return error_set(e, "machine %s: the fast engine has no use for one", t->name);
    }
    if (t && c->store_capacity != 0 && c->store_capacity != t->value[TIMING_store_queue]) {
        return error_set(e, "store buffer of %u entries: machine %s has %u (store_queue)", c->store_capacity,
                         t->name, t->value[TIMING_store_queue]);
    }
    if (t) {
        return timing_params_check(t, e);
    }
    return !c->machine || strcmp(c->machine, SIM_MACHINE_FLAT) == 0 ||
           error_set(e, "machine %s: nobody has read its parameters", c->machine);
}

bool sim_config_check(const struct sim_config *c, struct error *e)
{
    if (!cpus_legal(c->cpus)) {
        return error_set(e, "%u cpus: 1 to %u", c->cpus, SIM_CPUS_MAX);
    }
    if (!memory_legal(c->memory_bytes)) {
        return error_set(e, "memory of %llu bytes: 16M to 64G in whole MiB",
                         (unsigned long long)c->memory_bytes);
    }
    if (!nodes_legal(c->numa_nodes) || c->numa_nodes > c->cpus) {
        return error_set(e, "%u NUMA nodes: 1 to %u, and no more than cpus", c->numa_nodes, SIM_NODES_MAX);
    }
    if (c->memory_bytes / c->numa_nodes < SIM_MEMORY_MIN) {
        return error_set(e, "%u NUMA nodes need at least 16 MiB each", c->numa_nodes);
    }
    if (c->store_capacity != 0 && !store_capacity_legal(c->store_capacity)) {
        return error_set(e, "store buffer of %u entries: 1 to %u", c->store_capacity, STORE_QUEUE_MAX);
    }
    if (c->disk_count > SIM_DISKS_MAX) {
        return error_set(e, "%u disks: at most %u", c->disk_count, SIM_DISKS_MAX);
    }
    return check_timing(c, e);
}
