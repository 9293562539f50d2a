#!/usr/bin/env bash
# The checker of the house rules is checked: in a copy of the tree each rule is broken once, and each breach must be named.
source "$(dirname "$0")/lib.sh"

copy=$work/tree
mkdir -p "$copy"
git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do
    [ -e "$file" ] && printf '%s\0' "$file"
done | xargs -0 cp -a --parents -t "$copy"
mkdir -p "$copy/build/rel"
cp -a build/gen build/os "$copy/build/"
[ ! -e build/sections ] || cp -a build/sections "$copy/build/"
cp -a build/rel/sim build/rel/libsim.a build/rel/orrery "$copy/build/rel/"
cd "$copy" || exit 1
git init -q .

# What nothing reaches, in a tree that links: two functions of the kernel that need each other, so that both have a user by
# name; one of the library and what only it reads; a datum of a program, a function of the loader, one of the kernel's tests.
while read -r one other; do
    cat >"os/kernel/lib/new_$one.c" <<EOF
/* New. */
int new_$one(int n);
int new_$other(int n);
int new_$one(int n)
{
    return n > 9 ? new_$other(n - 3) : n;
}
EOF
done < <(printf 'one other\nother one\n')
cat >os/lib/new_library.c <<'EOF'
/* New. */
extern const int new_table[4];
const int new_table[4] = {3, 1, 4, 1};
int new_library(int n);
int new_library(int n)
{
    return new_table[n];
}
EOF
printf '/* New. */\nextern const int new_datum;\nconst int new_datum = 1;\n' >os/programs/forkstorm/new_datum.c
printf '/* New. */\nint new_alone(void);\nint new_alone(void)\n{\n    return 1;\n}\n' |
    tee os/uefi/new_loader.c >os/kernel/test/new_helper.c
timeout 300 env BUILD=build scripts/check-house sections >"$work/out" 2>&1
expect_same "what nothing reaches ends with status 1" 1 $?
# covers: ER-09 (D)
expect_same "what no image of the system reaches is named, and nothing else" \
    "new_one new_other new_helper:new_alone new_library new_library:new_table new_datum new_loader:new_alone" \
    "$(sed -nE '/^house rules: /d; s#^os/.*/([^/:]*)\.c:[0-9]+: --gc-sections takes (.*) out.*#\1:\2#; s/^(.*):\1$/\1/; p' \
        "$work/out" | xargs)"
expect_same "a rule that is not there ends with status 2" 2 "$(scripts/check-house no-rule 2>/dev/null; echo $?)"
rm os/kernel/lib/new_{one,other}.c os/{lib/new_library,programs/forkstorm/new_datum,uefi/new_loader,kernel/test/new_helper}.c

wanted=()
# breaks RULE PATH TEXT: the checker must print a line that begins with PATH and contains TEXT
breaks() {
    wanted+=("$1|$2|$3")
}

breaks "an include goes up by a path with dots" sim/dev/new_up.c 'layer: dev must not include cpu'
printf '/* New. */\n#include "../cpu/cpu.h"\n' >sim/dev/new_up.c

breaks "a folder of the kernel includes one above its own" os/kernel/mm/new_up.c 'layer: mm must not include sched'
printf '/* New. */\n#include "sched/sched.h"\nenum { NEW_UP };\n' >os/kernel/mm/new_up.c

breaks "a folder of the kernel has no layer" os/kernel/attic/new_room.c 'folder without a layer: attic'
mkdir -p os/kernel/attic
printf '/* New. */\n#include "lib/list.h"\nenum { NEW_ROOM };\n' >os/kernel/attic/new_room.c

breaks "an include in angle brackets reaches below the machine" sim/script/new_angle.c 'layers above the machine include only'
printf '/* New. */\n#include <core/bus.h>\n' >sim/script/new_angle.c

breaks "the simulator includes the kernel" sim/dev/new_guest.c 'sim/ must not include os/'
breaks "the compiler sees it as well" sim/dev/new_guest.c 'the compiler read os/kernel/mm/limits.h'
printf '/* New. */\n#include "../../os/kernel/mm/limits.h"\nenum { NEW_GUEST };\n' >sim/dev/new_guest.c

breaks "the kernel includes the simulator" os/kernel/lib/new_spy.c 'os/ must not include sim/'
printf '/* New. */\n#include "../../../sim/core/clock.h"\n' >os/kernel/lib/new_spy.c

breaks "a member of a structure is counted and never read" sim/dev/new_members.h 'nothing reads the member new_counted'
breaks "a member of a structure is set and never read" sim/dev/new_members.h 'nothing reads the member new_set'
cat >sim/dev/new_members.h <<'EOF'
#ifndef NEW_MEMBERS_H
#define NEW_MEMBERS_H
/* New. */
struct new_members {
    int new_counted, new_set[2], new_next, new_taken, new_shown;
    int (*new_called)(int);
};
#endif
EOF
cat >sim/dev/new_members.c <<'EOF'
/* New. */
#include "dev/new_members.h"
int new_members(struct new_members *m, int *a);
int new_members(struct new_members *m, int *a)
{
    *m = (struct new_members){.new_set = {1}, .new_shown = 1};
    m->new_counted++;
    m->new_set[m->new_next++] += 2;
    a[0] = m->new_taken = 3;
    return m->new_called(m->new_shown);
}
EOF

breaks "the host's clock is included" sim/dev/new_clock.c '<time.h> is not for dev/'
breaks "the host's clock is called behind a macro guard" sim/dev/new_clock.c 'forbidden call time'
breaks "the host's counter is read" sim/dev/new_clock.c '__builtin_ia32_rdtsc asks the host'
breaks "the host's counter is in the code" sim/dev/new_clock.c 'asks the host: rdtsc'
cat >sim/dev/new_clock.c <<'EOF'
/* New. */
#include <stdint.h>
#include <time.h>
uint64_t new_clock(void);
uint64_t new_clock(void)
{
    return (uint64_t)(time)(NULL) + __builtin_ia32_rdtsc();
}
EOF

breaks "a writable global" sim/dev/new_global.c 'writable global new_count'
breaks "a writable static in a function" sim/dev/new_global.c 'writable global hidden'
breaks "a constructor" sim/dev/new_global.c 'before or after main'
breaks "a function that nobody uses" sim/dev/new_global.c 'nobody but tests uses new_global'
breaks "a bit-field" sim/dev/new_global.c 'bit-field'
cat >sim/dev/new_global.c <<'EOF'
/* New. */
unsigned new_count;
struct new_bits {
    unsigned low : 4, high : 4;
};
unsigned new_global(void);
unsigned new_global(void)
{
    static unsigned hidden;
    hidden += new_count;
    return hidden;
}
__attribute__((constructor)) static void new_first(void)
{
    new_count = 1;
}
EOF

breaks "a variable-length array" sim/dev/new_vla.c 'variable length array'
cat >sim/dev/new_vla.c <<'EOF'
/* New. */
#include <stdint.h>
uint8_t new_vla(unsigned n);
uint8_t new_vla(unsigned n)
{
    uint8_t room[n + 1];
    room[n] = 1;
    return room[n];
}
EOF

breaks "host floating point in cycles" sim/core/new_scale.h 'host floating point (double)'
breaks "a header that nobody includes" sim/core/new_scale.h 'nobody includes it'
breaks "an inline function that nobody uses" sim/core/new_scale.h 'nobody but tests uses clock_scaled'
cat >sim/core/new_scale.h <<'EOF'
#ifndef ORRERY_CORE_NEW_SCALE_H
#define ORRERY_CORE_NEW_SCALE_H
#include <stdint.h>
static inline uint64_t clock_scaled(uint64_t cycles)
{
    double scaled = (double)cycles * 1.5;
    return (uint64_t)scaled;
}
#endif
EOF

breaks "host floating point without its name" sim/core/new_constant.c 'computes with host floating point'
breaks "a condition of the preprocessor" sim/core/new_constant.c '#if in a .c file'
printf '/* New. */\n#if 1\nunsigned new_constant(unsigned a);\nunsigned new_constant(unsigned a)\n{\n    return (unsigned)(a * 1.5);\n}\n#endif\n' >sim/core/new_constant.c

breaks "a header of the guest that does not compile alone" os/kernel/lib/new_broken.h 'does not compile alone'
printf '#ifndef NEW_BROKEN_H\n#define NEW_BROKEN_H\nstruct new_broken {\n    new_unknown_t what;\n};\n#endif\n' >os/kernel/lib/new_broken.h

{
    printf '/* New. */\n#define NEW_LONG \\\n    static inline void new_long(void) { \\\n'
    for _ in $(seq 90); do printf '    ; \\\n'; done
    printf '    }\n'
} >sim/dev/new_macro.h
breaks "a long function inside a macro" sim/dev/new_macro.h 'macro NEW_LONG of'
{
    printf '/* New. */\nstatic inline __attribute__((unused)) int new_long(int a) {\n'
    for _ in $(seq 80); do printf '    a++;\n'; done
    printf '    return a;\n}\n'
} >sim/dev/new_attribute.h
breaks "a long function with an attribute and its brace on the line" sim/dev/new_attribute.h 'function new_long of'

breaks "a test that asserts nothing" tests/unit/core/test_new.c 'new_never_fails cannot fail'
breaks "a file without a test" tests/unit/core/test_new_none.c 'no test in it'
cat >tests/unit/core/test_new.c <<'EOF'
/* New. */
static void new_never_fails(void **state)
{
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_never_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
EOF
printf '/* New. */\nint main(void)\n{\n    return 0;\n}\n' >tests/unit/core/test_new_none.c

breaks "a source in a folder that no build knows" sim/dev/deep/x.c 'no build compiles it'
breaks "a folder of the kernel that does not compile" os/kernel/new/endpoint.c 'error\|expected\|unknown type'
mkdir -p sim/dev/deep os/kernel/new
echo 'not C' | tee sim/dev/deep/x.c >os/kernel/new/endpoint.c

breaks "a scenario that nobody names" scenarios/kernels/page.lua 'nobody names it'
breaks "a script that nobody names" scripts/page 'nobody names it'
echo '-- page' >scenarios/kernels/page.lua
echo '# page' >scripts/page

breaks "a Lua method that no test names" sim/script/machine.def 'no test names the row new_method'
breaks "a page that is not made anew" docs/lua-machine.md 'not up to date'
echo 'MACHINE("new_method", machine_cycles, "(): integer", "new")' >>sim/script/machine.def
echo 'function Machine:new_method() end' >>scenarios/lib/orrery.meta.lua # what make-docs would write is no test
breaks "a method of a place that no test names" sim/script/place.def 'no test names the row new_place'
echo 'PLACE("new_place", place_address, "(): integer", "new")' >>sim/script/place.def
breaks "a register of scenarios that no test names" sim/script/names_registers.def 'no test names the row new_register'
echo 'NAME("new_register", REGISTER_NEW)' >>sim/script/names_registers.def
breaks "a method in Lua that no test names" scenarios/lib/prelude.lua 'no test names the row new_in_lua'
breaks "a function of orrery that no test names" scenarios/lib/prelude.lua 'no test names the row new_time'
breaks "a global function that only a comment names" scenarios/lib/prelude.lua 'no test names the row new_group'
cat >>scenarios/lib/prelude.lua <<'LUA'
function Histogram:new_in_lua() end
function orrery.new_time() end
function new_group() end
LUA
echo '-- new_group("x")' >>scenarios/fork-storm.lua
breaks "a system call that only a longer name has" os/abi/syscalls.def 'no test names the row printf'
echo 'SYSCALL(21, PRINTF, printf, NOWHERE, NONE, 0, VALUE, ARGUMENTS_0(), "0", "New.")' >>os/abi/syscalls.def
breaks "a message of the dimension store that no test names" os/dimension/operations.def 'no test names the row NEW_2'
breaks "a table in a page that is not made anew" docs/dimension-store.md 'not up to date'
echo 'DIM_OPERATION(33, NEW_2, 0, 1, 0, NONE, "new")' >>os/dimension/operations.def
breaks "a status that no test names" os/abi/status.def 'no test names the row STATUS_ERR_NEW'
echo 'STATUS_ROW(STATUS_ERR_NEW, -102, "new")' >>os/abi/status.def
printf '/* New. */\nenum { NEW_STATUS = STATUS_ERR_NEW };\n' >os/kernel/lib/new_status.c
breaks "a capability that no system call demands" os/abi/capabilities.def 'no test names the row NEW'
echo 'CAP_TYPE(7, NEW, "new")' >>os/abi/capabilities.def
breaks "a register that no test names" sim/cpu/msr.def 'no test names the row NEW_REGISTER'
echo 'MSR_FIELD(0xc0010999, NEW_REGISTER, ALWAYS, pat, 0, 0, 0, any_value)' >>sim/cpu/msr.def

breaks "an annotation that names no requirement" tests/unit/core/test_new_covers.c 'no requirement is called MM-99'
breaks "an annotation that is no ID" tests/unit/core/test_new_covers.c "not 'and more'"
breaks "an annotation before no test" tests/unit/core/test_new_covers.c 'stands before no test'
cat >tests/unit/core/test_new_covers.c <<'EOF'
/* New. */
/* covers: MM-99 */
static void new_fails(void **state)
{
    assert_non_null(state);
}

/* covers: MM-01 and more */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
EOF
breaks "a requirement that stands twice" docs/requirements.md 'stands in line'
breaks "a requirement without the kinds of its tests" docs/requirements.md 'XX-01: the acceptance test begins with its kinds'
breaks "a requirement with a cell too few" docs/requirements.md 'a row has 5 cells, this one has 4'
printf '| MM-01 | Twice | S0 | U: twice | |\n| XX-01 | New | S0 | new | |\n| XX-02 | New | S0 | U: new |\n' >>docs/requirements.md

breaks "an exception that excuses nothing" docs/house-exceptions.txt 'excuses nothing: size sim/nothing.c'
echo 'size sim/nothing.c because' >>docs/house-exceptions.txt

breaks "a file that does not say what it is" sim/dev/new_mute.c 'opens without a comment'
breaks "a file that says it is not done" sim/dev/new_mute.c 'unfinished'
printf 'enum { NEW_MUTE }; // TO%s\n' DO >sim/dev/new_mute.c

breaks "a file that is not formatted" sim/dev/new_macro.h 'not formatted'

timeout 300 env BUILD=build scripts/check-house >"$work/out" 2>&1
expect_same "broken rules end with status 1" 1 $?
expect_same "a member whose value is taken is none of those that nothing reads" "new_counted new_set" \
    "$(sed -n 's#^sim/dev/new_members.*nothing reads the member ##p' "$work/out" | xargs)"
for one in "${wanted[@]}"; do
    IFS='|' read -r rule path text <<<"$one"
    if grep "^${path}[: ]" "$work/out" | grep -q -- "$text"; then
        ok "named: $rule"
    else
        fail "named: $rule" "no line $path ... $text" "$(grep -F "$path" "$work/out")"
    fi
done

finish
