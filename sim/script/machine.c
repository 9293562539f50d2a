/* The machine in Lua: the methods of machine.def. */

#define _POSIX_C_SOURCE 200809L

#include "script/machine.h"

#include "base/check.h"
#include "base/file.h"
#include "script/binding.h"
#include "script/create.h"
#include "script/failure.h"
#include "script/lookup.h"
#include "script/place.h"
#include "script/position.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define CYCLES_MAX   ((lua_Integer)1 << 60) /* of one effect: twelve years */
#define AWAITED_MAX  4096u
#define SEND_MAX     4096u
#define PANIC_BYTES  160u
#define READ_MAX     ((lua_Integer)16 << 20)
#define STALE_STEPS  1000u /* of the sandbox, for a look at all translation caches */
#define PROBE_ID_MAX ((lua_Integer)LUA_PROBES_MAX - 1)

/* The machine at index: its handle, or the scenario's table around it. NULL: none. */
static struct lua_machine *find_machine(lua_State *lua, int index)
{
    struct lua_machine **handle = luaL_testudata(lua, index, MACHINE_TYPE);
    if (!handle && lua_istable(lua, index)) {
        lua_pushstring(lua, MACHINE_FIELD);
        lua_rawget(lua, index);
        handle = luaL_testudata(lua, -1, MACHINE_TYPE);
        lua_pop(lua, 1);
    }
    return handle ? *handle : NULL;
}

static bool is_machine(lua_State *lua, int index)
{
    return find_machine(lua, index) != NULL;
}

static struct lua_machine *machine_of(lua_State *lua)
{
    return find_machine(lua, 1);
}

static unsigned check_cpu(lua_State *lua, const struct lua_machine *m, int index)
{
    return (unsigned)binding_natural(lua, index, (lua_Integer)sim_get_config(m->sim)->cpus - 1);
}

static unsigned check_port(lua_State *lua, int index, unsigned count)
{
    return (unsigned)binding_natural(lua, index, (lua_Integer)count - 1);
}

static uint64_t check_unsigned(lua_State *lua, int index)
{
    return (uint64_t)binding_natural(lua, index, LUA_MAXINTEGER);
}

static int apply(lua_State *lua, const struct lua_machine *m, const struct effect *f)
{
    struct error e;
    if (!sim_effect(m->sim, f, &e)) {
        return binding_error(lua, e.text);
    }
    return 0;
}

/* ---- output ---- */

static bool text_found(const struct lua_machine *m)
{
    const struct serial_text *t = &m->text[m->awaited_port];
    return t->size - t->matched >= m->awaited_size &&
           memcmp(t->bytes + t->size - m->awaited_size, m->awaited, m->awaited_size) == 0;
}

void machine_output(void *machine, unsigned port, uint8_t byte, uint64_t now_cycles)
{
    struct lua_machine *m = machine;
    struct serial_text *t = &m->text[port];
    (void)now_cycles;
    if (t->size == t->capacity) {
        if (t->capacity >= SERIAL_TEXT_MAX) {
            t->full = true;
            sim_stop_ask(m->sim);
            return;
        }
        t->capacity = t->capacity ? t->capacity * 2 : 4096;
        t->bytes = realloc(t->bytes, t->capacity);
        CHECK(t->bytes, "out of memory: %zu bytes of console", t->capacity);
    }
    t->bytes[t->size++] = (char)byte;
    if (m->echo && port == 0) {
        putchar(byte);
    }
    if (m->awaited && port == m->awaited_port && !m->found && text_found(m)) {
        m->found = true;
        t->matched = t->size;
        sim_stop_ask(m->sim);
    }
}

/* ---- running ---- */

static bool is_full(const struct lua_machine *m)
{
    bool full = false;
    for (unsigned i = 0; i <= SIM_SERIAL_PORTS; i++) {
        full = full || m->text[i].full;
    }
    return full;
}

static enum sim_stop run(lua_State *lua, struct lua_machine *m, uint64_t until)
{
    if (m->running) {
        binding_error(lua, "a probe's function cannot run its own machine");
    }
    m->lua = lua;
    m->running = true;
    m->probe_failed = false;
    sandbox_of(lua)->ran = m->sim;
    m->last_stop = sim_run(m->sim, until);
    m->running = false;
    if (m->probe_failed || is_full(m)) {
        m->awaited = NULL;
    }
    if (m->probe_failed) {
        lua_error(lua); /* the probe's message is on top */
    }
    if (m->stop_wanted && m->stop_wanted()) {
        position_error(lua, "interrupted");
    }
    if (is_full(m)) {
        position_error(lua, "a serial port printed more than %d MiB", (int)(SERIAL_TEXT_MAX >> 20));
    }
    return m->last_stop;
}

static int machine_run_until(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    lua_pushstring(lua, sim_stop_name(run(lua, m, check_unsigned(lua, 2))));
    return 1;
}

/* Text already there counts: looks from the last match on. */
static bool find_in_old_text(struct lua_machine *m)
{
    struct serial_text *t = &m->text[m->awaited_port];
    for (size_t at = t->matched; at + m->awaited_size <= t->size; at++) {
        if (memcmp(t->bytes + at, m->awaited, m->awaited_size) == 0) {
            t->matched = at + m->awaited_size;
            return true;
        }
    }
    return false;
}

void machine_describe_panic(const struct lua_machine *m, char *text, size_t size)
{
    const struct serial_text *console = &m->text[0];
    size_t from = m->crash_text;
    while (from < console->size && strchr("\r\n", console->bytes[from])) {
        from++;
    }
    size_t to = from;
    while (to < console->size && !strchr("\r\n", console->bytes[to])) {
        to++;
    }
    int used = snprintf(text, size, "the kernel panicked%s", to > from ? ": " : "");
    if (to > from) {
        failure_one_line(console->bytes + from, to - from, text + used, size - (size_t)used);
    }
}

/* Why what was waited for did not come, pushed. */
static void push_reason(lua_State *lua, struct lua_machine *m, enum sim_stop stop)
{
    const char *text = sim_stop_text(m->sim);
    m->in_vain = m->in_vain || stop == SIM_STOP_NO_PROGRESS || stop == SIM_STOP_RESET;
    if (m->crashed) {
        char panic[PANIC_BYTES];
        machine_describe_panic(m, panic, sizeof panic);
        lua_pushstring(lua, panic);
    } else if (stop == SIM_STOP_CYCLES) {
        lua_pushstring(lua, "it did not come in time");
    } else {
        lua_pushfstring(lua, "the machine stopped: %s%s%s", sim_stop_name(stop), text[0] ? ": " : "", text);
    }
}

static int machine_wait_text(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    if (m->running) {
        return binding_error(lua, "a probe's function cannot run its own machine");
    }
    m->awaited_port = check_port(lua, 2, SIM_SERIAL_PORTS + 1);
    uint64_t until = check_unsigned(lua, 4);
    const char *awaited = lua_tolstring(lua, 3, &m->awaited_size);
    if (m->awaited_size == 0 || m->awaited_size > AWAITED_MAX) {
        return binding_misuse(lua, 3, "1 to %d bytes long", (int)AWAITED_MAX);
    }
    sandbox_charge(lua, (m->text[m->awaited_port].size - m->text[m->awaited_port].matched) /
                            SANDBOX_BYTES_PER_STEP);
    m->awaited = awaited;
    m->found = find_in_old_text(m);
    enum sim_stop stop = SIM_STOP_ASKED;
    while (!m->found && stop == SIM_STOP_ASKED) {
        stop = run(lua, m, until);
    }
    m->awaited = NULL;
    if (m->found) {
        lua_pushboolean(lua, 1);
        return 1;
    }
    lua_pushnil(lua);
    push_reason(lua, m, stop);
    return 2;
}

static int machine_send(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct error e;
    size_t size;
    unsigned port = check_port(lua, 2, SIM_SERIAL_PORTS);
    const char *text = lua_tolstring(lua, 3, &size);
    if (size > SEND_MAX) {
        return binding_misuse(lua, 3, "at most %d bytes long (a serial line holds no more)", (int)SEND_MAX);
    }
    if (!sim_serial_send(m->sim, port, text, size, &e)) {
        return binding_error(lua, e.text);
    }
    return 0;
}

static int machine_stop(lua_State *lua)
{
    const struct lua_machine *m = machine_of(lua);
    if (!m->running) {
        return binding_error(lua, "only a probe's function can stop a run, and none is running");
    }
    sim_stop_ask(m->sim);
    return 0;
}

/* ---- looking ---- */

static int machine_console(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    const struct serial_text *t = &m->text[check_port(lua, 2, SIM_SERIAL_PORTS + 1)];
    lua_Integer from = lua_isnoneornil(lua, 3) ? 0 : binding_natural(lua, 3, (lua_Integer)t->size);
    lua_pushlstring(lua, t->bytes ? t->bytes + from : "", t->size - (size_t)from);
    return 1;
}

static int machine_cycles(lua_State *lua)
{
    lua_pushinteger(lua, (lua_Integer)sim_cycles(machine_of(lua)->sim));
    return 1;
}

static int machine_instructions(lua_State *lua)
{
    lua_pushinteger(lua, (lua_Integer)sim_instructions(machine_of(lua)->sim));
    return 1;
}

static int push_digest(lua_State *lua, struct digest d)
{
    char text[33];
    snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)d.hi, (unsigned long long)d.lo);
    lua_pushstring(lua, text);
    return 1;
}

static int machine_state_hash(lua_State *lua)
{
    return push_digest(lua, sim_state_hash(machine_of(lua)->sim));
}

static int machine_arch_hash(lua_State *lua)
{
    return push_digest(lua, sim_digest(machine_of(lua)->sim, VISIT_ARCH));
}

static int machine_count(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    int c = sim_counter_find(lua_tostring(lua, 2));
    if (c < 0) {
        return binding_misuse(lua, 2, "a counter (orrery info lists them)");
    }
    if (!sim_counts(m->sim, (enum sim_counter)c)) {
        return binding_error(lua, "false sharing is not counted: m:count_sharing() begins it");
    }
    unsigned cpu = lua_isnoneornil(lua, 3) ? SIM_ALL_CPUS : check_cpu(lua, m, 3);
    if (cpu != SIM_ALL_CPUS && !sim_counter_is_per_cpu((enum sim_counter)c)) {
        return binding_misuse(lua, 3, "left out (this counter is the machine's, no vCPU has its own)");
    }
    lua_pushinteger(lua, (lua_Integer)sim_counter(m->sim, (enum sim_counter)c, cpu));
    return 1;
}

static int machine_cpus(lua_State *lua)
{
    lua_pushinteger(lua, (lua_Integer)sim_get_config(machine_of(lua)->sim)->cpus);
    return 1;
}

static uint64_t register_value(const struct sim_regs *r, enum register_name name)
{
    if (name <= REGISTER_R15) {
        return r->gpr[name];
    }
    switch ((int)name) {
    case REGISTER_RIP:
        return r->rip;
    case REGISTER_RFLAGS:
        return r->rflags;
    case REGISTER_CR0:
        return r->cr0;
    case REGISTER_CR2:
        return r->cr2;
    case REGISTER_CR3:
        return r->cr3;
    case REGISTER_CR4:
        return r->cr4;
    case REGISTER_EFER:
        return r->efer;
    case REGISTER_FS_BASE:
        return r->fs_base;
    case REGISTER_GS_BASE:
        return r->gs_base;
    case REGISTER_CPL:
        return r->cpl;
    case REGISTER_CLOCK:
        return r->clock_cycles;
    default:
        return r->retired;
    }
}

static enum register_name check_register(lua_State *lua, int index, enum register_name last)
{
    int name = lookup_register(lua_tostring(lua, index));
    if (name < 0 || name > (int)last) {
        binding_misuse(lua, index, last == REGISTER_RFLAGS ? "rax to r15, rip or rflags" : "a register");
    }
    return (enum register_name)name;
}

static int machine_register(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct sim_regs r;
    sim_get_regs(m->sim, check_cpu(lua, m, 2), &r);
    lua_pushinteger(lua, (lua_Integer)register_value(&r, check_register(lua, 3, REGISTER_RETIRED)));
    return 1;
}

static int machine_xmm(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    uint8_t bytes[SIM_XMM_BYTES];
    unsigned cpu = check_cpu(lua, m, 2);
    sim_get_xmm(m->sim, cpu, (unsigned)binding_natural(lua, 3, SIM_XMM_COUNT - 1), bytes);
    lua_pushlstring(lua, (const char *)bytes, sizeof bytes);
    return 1;
}

static int machine_read(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    lua_Integer size = binding_natural(lua, 3, READ_MAX);
    unsigned cpu = lua_isnoneornil(lua, 4) ? 0 : check_cpu(lua, m, 4);
    luaL_Buffer b;
    sandbox_charge(lua, (uint64_t)size / SANDBOX_BYTES_PER_STEP);
    char *bytes = luaL_buffinitsize(lua, &b, (size_t)size);
    if (!sim_read_linear(m->sim, cpu, lin((uint64_t)lua_tointeger(lua, 2)), bytes, (size_t)size)) {
        lua_pushnil(lua);
        lua_pushstring(lua, "not mapped");
        return 2;
    }
    luaL_pushresultsize(&b, (size_t)size);
    return 1;
}

static int machine_stale(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    unsigned cpu = check_cpu(lua, m, 2), index = 0;
    struct sim_stale found;
    sandbox_charge(lua, STALE_STEPS);
    lua_newtable(lua);
    for (lua_Integer n = 1; sim_next_stale(m->sim, cpu, &index, &found); n++) {
        sandbox_charge(lua, 1);
        lua_createtable(lua, 0, 4);
        lua_pushinteger(lua, (lua_Integer)found.linear.v);
        lua_setfield(lua, -2, "linear");
        lua_pushinteger(lua, (lua_Integer)found.physical.v);
        lua_setfield(lua, -2, "physical");
        lua_pushinteger(lua, (lua_Integer)found.size_bytes);
        lua_setfield(lua, -2, "size");
        lua_pushboolean(lua, found.table);
        lua_setfield(lua, -2, "table");
        lua_rawseti(lua, -2, n);
    }
    return 1;
}

static int machine_read_disk(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    lua_Integer disk = binding_natural(lua, 2, SIM_DISKS_MAX),
                offset = binding_natural(lua, 3, LUA_MAXINTEGER);
    lua_Integer size = binding_natural(lua, 4, READ_MAX);
    luaL_Buffer b;
    sandbox_charge(lua, (uint64_t)size / SANDBOX_BYTES_PER_STEP);
    char *bytes = luaL_buffinitsize(lua, &b, (size_t)size);
    if (!sim_read_disk(m->sim, (unsigned)disk, (uint64_t)offset, bytes, (size_t)size)) {
        lua_pushnil(lua);
        lua_pushstring(lua, "not on a disk");
        return 2;
    }
    luaL_pushresultsize(&b, (size_t)size);
    return 1;
}

static int machine_symbol(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    uint64_t address, size;
    const char *name = lua_tostring(lua, 2);
    if (!m->symbols || !symbols_find(m->symbols, name, &address, &size)) {
        lua_pushnil(lua);
        lua_pushfstring(lua, "the kernel has no symbol '%s'", name);
        return 2;
    }
    lua_pushinteger(lua, (lua_Integer)address);
    lua_pushinteger(lua, (lua_Integer)size);
    return 2;
}

static int machine_inlined(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    const char *name = lua_tostring(lua, 2);
    size_t count = m->symbols ? symbols_inlined(m->symbols, name, NULL, 0) : 0;
    sandbox_charge(lua, count);
    lua_newtable(lua);
    struct code_range *ranges = lua_newuserdatauv(lua, (count + 1) * sizeof *ranges, 0);
    count = m->symbols ? symbols_inlined(m->symbols, name, ranges, count) : 0;
    for (size_t i = 0; i < count; i++) {
        lua_createtable(lua, 0, 2);
        lua_pushinteger(lua, (lua_Integer)ranges[i].first);
        lua_setfield(lua, -2, "first");
        lua_pushinteger(lua, (lua_Integer)(ranges[i].end - 1));
        lua_setfield(lua, -2, "last");
        lua_rawseti(lua, -3, (lua_Integer)i + 1);
    }
    lua_pop(lua, 1);
    return 1;
}

static int machine_describe(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    char text[256];
    symbols_describe(m->symbols, (uint64_t)lua_tointeger(lua, 2), text, sizeof text);
    lua_pushstring(lua, text);
    return 1;
}

static int machine_disassemble(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    char text[256] = "";
    unsigned cpu = lua_isnoneornil(lua, 3) ? 0 : check_cpu(lua, m, 3);
    unsigned length = sim_disassemble(m->sim, cpu, lin((uint64_t)lua_tointeger(lua, 2)), text, sizeof text);
    lua_pushstring(lua, text);
    lua_pushinteger(lua, (lua_Integer)length);
    return 2;
}

/* ---- probes ---- */

/* Runs the Lua function of a probe; an error ends the run and comes out of the method that ran it. */
static void probe_fired(void *arg, unsigned cpu, uint64_t now_cycles)
{
    struct lua_probe *p = arg;
    struct lua_machine *m = p->owner;
    if (m->probe_failed) {
        return;
    }
    lua_rawgeti(m->lua, LUA_REGISTRYINDEX, p->function);
    lua_pushinteger(m->lua, (lua_Integer)cpu);
    lua_pushinteger(m->lua, (lua_Integer)now_cycles);
    if (lua_pcall(m->lua, 2, 0, 0) != LUA_OK) {
        m->probe_failed = true;
        sim_stop_ask(m->sim);
    }
}

static int machine_probe(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    for (unsigned i = 0; i < LUA_PROBES_MAX; i++) {
        struct lua_probe *p = &m->probes[i];
        if (p->used) {
            continue;
        }
        p->owner = m;
        p->id = sim_probe_add(m->sim, lin((uint64_t)lua_tointeger(lua, 2)), probe_fired, p);
        if (p->id < 0) {
            break;
        }
        lua_pushvalue(lua, 3);
        p->function = luaL_ref(lua, LUA_REGISTRYINDEX);
        p->used = true;
        lua_pushinteger(lua, (lua_Integer)i);
        return 1;
    }
    return position_error(lua, "probe: a machine has at most %d", (int)LUA_PROBES_MAX);
}

static int machine_unprobe(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct lua_probe *p = &m->probes[binding_natural(lua, 2, PROBE_ID_MAX)];
    if (!p->used) {
        return binding_misuse(lua, 2, "the id of a probe that is set");
    }
    sim_probe_remove(m->sim, p->id);
    luaL_unref(lua, LUA_REGISTRYINDEX, p->function);
    p->used = false;
    return 0;
}

/* ---- effects ---- */

static int machine_set_register(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct effect f = {.kind = EFFECT_REGISTER, .cpu = (uint16_t)check_cpu(lua, m, 2)};
    f.arg[0] = check_register(lua, 3, REGISTER_RFLAGS);
    f.arg[1] = (uint64_t)lua_tointeger(lua, 4);
    return apply(lua, m, &f);
}

static int machine_write_physical(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    size_t size;
    uint64_t address = check_unsigned(lua, 2);
    const char *bytes = lua_tolstring(lua, 3, &size);
    for (size_t done = 0; done < size;) {
        size_t n = size - done < EFFECT_BYTES_MAX ? size - done : EFFECT_BYTES_MAX;
        struct effect f = {.kind = EFFECT_MEMORY, .arg = {address + done}, .byte_count = (uint32_t)n};
        memcpy(f.bytes, bytes + done, n);
        apply(lua, m, &f);
        done += n;
    }
    return 0;
}

static int machine_stall(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct effect f = {.kind = EFFECT_STALL, .cpu = (uint16_t)check_cpu(lua, m, 2)};
    f.arg[0] = check_unsigned(lua, 3);
    f.arg[1] = (uint64_t)binding_natural(lua, 4, CYCLES_MAX);
    return apply(lua, m, &f);
}

static int machine_interrupt(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct effect f = {.kind = EFFECT_INTERRUPT, .cpu = (uint16_t)check_cpu(lua, m, 2)};
    f.arg[0] = check_unsigned(lua, 3);
    return apply(lua, m, &f);
}

static int machine_interrupt_range(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct effect f = {.kind = EFFECT_INTERRUPT_RANGE, .cpu = (uint16_t)check_cpu(lua, m, 2)};
    f.arg[0] = (uint64_t)lua_tointeger(lua, 3);
    f.arg[1] = (uint64_t)lua_tointeger(lua, 4);
    f.arg[2] = check_unsigned(lua, 5);
    return apply(lua, m, &f);
}

static int machine_delay_ipi(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct effect f = {.kind = EFFECT_IPI_DELAY, .arg = {check_unsigned(lua, 2)}};
    f.arg[1] = (uint64_t)binding_natural(lua, 3, CYCLES_MAX);
    return apply(lua, m, &f);
}

static int machine_lose_ipi(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct effect f = {.kind = EFFECT_IPI_LOSS, .arg = {check_unsigned(lua, 2)}};
    return apply(lua, m, &f);
}

/* ---- profiles ---- */

static int machine_count_sharing(lua_State *lua)
{
    struct error e;
    return sim_count_sharing(machine_of(lua)->sim, &e) ? 0 : binding_error(lua, e.text);
}

struct profile *machine_begin_profile(const struct lua_machine *m, bool tables, struct error *e)
{
    struct file_bytes kernel = {0}, initrd = {0};
    struct profile *p = NULL;
    if (file_read(m->kernel, FILE_MAX_BYTES, &kernel, e) &&
        (!m->initrd || file_read(m->initrd, FILE_MAX_BYTES, &initrd, e))) {
        const struct guest_files files = {
            .kernel_name = m->kernel,
            .initrd_name = m->initrd,
            .kernel = kernel.bytes,
            .initrd = initrd.bytes,
            .kernel_size = kernel.size,
            .initrd_size = initrd.size,
        };
        p = profile_start(m->sim, &files, tables);
    }
    file_free(&kernel);
    file_free(&initrd);
    return p;
}

static int machine_start_profile(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    struct error e;
    profile_free(m->profile);
    m->profile = machine_begin_profile(m, true, &e);
    return m->profile ? 0 : binding_error(lua, e.text);
}

static int machine_stop_profile(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    if (!m->profile) {
        return binding_error(lua, "there is no profile: m:start_profile() begins one");
    }
    profile_stop(m->profile);
    return 0;
}

static int machine_profile(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    char name[32], *text = NULL;
    size_t size = 0;
    enum profile_format format;
    snprintf(name, sizeof name, "x.%s", lua_tostring(lua, 2));
    if (!profile_format_of(name, &format)) {
        return binding_misuse(lua, 2, "\"folded\", \"json\", \"tsv\" or \"md\"");
    }
    if (!m->profile) {
        return binding_error(lua, "there is no profile: m:start_profile() begins one");
    }
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory");
    profile_write(m->profile, format, out);
    bool good = fclose(out) == 0;
    CHECK(good, "out of memory: %zu bytes of a profile", size);
    sandbox_charge(lua, size / SANDBOX_BYTES_PER_STEP);
    lua_pushlstring(lua, text, size);
    free(text);
    return 1;
}

static int machine_guest_crashed(lua_State *lua)
{
    struct lua_machine *m = machine_of(lua);
    m->crash_cpu = check_cpu(lua, m, 2);
    m->crash_text = m->crashed ? m->crash_text : m->text[0].size;
    m->crashed = true;
    return 0;
}

static int machine_effects(lua_State *lua)
{
    lua_pushinteger(lua, (lua_Integer)sim_effect_count(machine_of(lua)->sim));
    return 1;
}

static const struct binding machine_methods[] = {
#define MACHINE(name, function, signature, help) {name, function, signature},
#include "script/machine.def"
#undef MACHINE
    {NULL, NULL, NULL},
};

static const struct binding_class machine_class = {"m", is_machine};

void machine_open(lua_State *lua, const struct script_defaults *defaults, struct lua_machine **machines)
{
    luaL_newmetatable(lua, MACHINE_TYPE);
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 1);
    place_open(lua);
    lua_newtable(lua);
    binding_register(lua, &machine_class, machine_methods);
    lua_pushlightuserdata(lua, (void *)(uintptr_t)defaults);
    lua_pushlightuserdata(lua, machines);
    lua_pushcclosure(lua, machine_create, 2);
}

void machine_free_all(struct lua_machine *machines)
{
    while (machines) {
        struct lua_machine *next = machines->next;
        profile_free(machines->profile);
        profile_free(machines->full_profile);
        recorder_free(machines->recorder);
        sim_destroy(machines->sim);
        free(machines->kernel);
        free(machines->initrd);
        symbols_close(machines->symbols);
        for (unsigned i = 0; i <= SIM_SERIAL_PORTS; i++) {
            free(machines->text[i].bytes);
        }
        free(machines);
        machines = next;
    }
}
