#!/usr/bin/env bash
# The scenarios: verdicts, failures, crashes.
source "$(dirname "$0")/lib.sh"

for cpus in 1 2 4 8; do
    expect_status "the fork storm passes on $cpus cpus" 0 "$orrery" run scenarios/fork-storm.lua --cpus $cpus
done

expect_status "all load programs at once leave 8 CPUs as they were, twice the same" 0 "$orrery" run scenarios/load-mix.lua

expect_status "every fault that is injected is survived" 0 "$orrery" run scenarios/fault-injection.lua

# scenario NAME: standard input becomes a scenario far from the program's own; it finds the adapter of the kernel all the same
scenario() {
    cat >"$work/$1.lua"
}

# says WHERE NAME TEXT...: each text stands in $work/out or $work/err
says() {
    local where=$1 name=$2
    shift 2
    for wanted in "$@"; do
        grep -qF -- "$wanted" "$work/$where" && ok "$name: $wanted" || fail "$name: $wanted" "$(cat "$work/$where")"
    done
}

scenario fails <<'LUA'
local m = orrery.machine { cpus = 1, kernel = "orrery" }
it("fails", function()
    m:boot()
    expect(m.kernel.frames.free):to_be(1)
end)
LUA
expect_status "a failed expectation ends with 1" 1 "$orrery" run "$work/fails.lua"
says out "the failure says" "FAIL  fails" "m.kernel.frames.free: expected 1, got " " at cycle " " ms)" "$work/fails.lua:4" \
    "again: $orrery run $work/fails.lua"

scenario panics <<'LUA'
local m = orrery.machine { cpus = 2, kernel = "orrery" }
it("panics", function()
    m:boot()
    m:set_register(0, "rip", assert(m:symbol("panic")))
    m:ask("ping")
end)
LUA
expect_status "a panic ends with 3" 3 "$orrery" run "$work/panics.lua"
says out "the test says" "ping: no answer from the driver: the kernel panicked: panic: " ", at cycle " "panics.lua:5"
says err "a panic shows a back-trace" "orrery: the kernel panicked: panic: " "#0 " " panic+0x"

scenario error <<'LUA'
local m = orrery.machine { cpus = 1, kernel = "orrery" }
m:boot { until_txt = "init: ready" }
LUA
expect_one_line "a mistake outside a test ends with 2" 2 "$orrery" run "$work/error.lua"
says err "it says what and where" "orrery: $work/error.lua:2: boot: there is no option 'until_txt'; it takes until_text, within"

scenario loop <<'LUA'
it("loops", function()
    while true do end
end)
LUA
expect_status "a loop without end ends with 4" 4 "$orrery" run "$work/loop.lua"
says err "it says where" "orrery: $work/loop.lua:2: the scenario used up its budget"

scenario over <<'LUA'
local m = orrery.machine { kernel = "orrery" }
it("ends", function()
    m:boot()
    m:send(1, "shutdown\n")
    expect(m:run(orrery.seconds(5))):to_be("power-off")
    expect(m:run(100)):to_be("power-off")
    expect(m:console(0)):to_contain("init: ready")
    expect(function() m:ask("ping") end):to_err("over.lua:8: ping: no answer from the driver: the machine stopped: power-off")
end)
LUA
expect_status "a machine that is off can be looked at" 0 "$orrery" run "$work/over.lua"

scenario two <<'LUA'
local a = orrery.machine { kernel = "orrery", cpus = 1 }
local b = orrery.machine { kernel = "orrery", cpus = 2, seed = 7 }
it("runs both", function()
    a:boot() b:boot()
    local x, y, z = a:command("forkstorm --processes 20"), b:command("forkstorm --processes 20"), a:command("forkstorm")
    z:wait() y:wait() x:wait()
    expect(x.status + y.status + z.status):to_be(0)
    local frames = a:ask("stats", { until_line = "end" })
    expect(frames):to_match("frames%-free %d+\n.*\nend$")
    for line in frames:gmatch("([^\n]+)\n") do expect(line):to_match("^[a-z][a-z0-9-]* %d+$") end
    expect(tonumber(frames:match("\nthreads%-alive (%d+)")), "threads, the kernel's own too"):to_be_above(
        tonumber(frames:match("\nthreads (%d+)")))
    expect(a:ask("ping")):to_be("pong")
    local from, probed = a:cycles(), 0
    local id = b:on_entry("trap_dispatch", function() probed = probed + 1 a:run(10) end)
    b:run(orrery.ms(20))
    b:unprobe(id)
    expect(probed):to_be_above(0)
    expect(a:cycles()):to_be_at_least(from + 10 * probed)
end)
LUA
expect_status "two machines in one scenario, one run by the other's probe" 0 "$orrery" run "$work/two.lua"

scenario hooks <<'LUA'
local m = orrery.machine { kernel = "orrery", cpus = 2 }
it("has every hook", function()
    m:boot()
    local calls, returns, last = 0, 0, nil
    m:on_entry("vm_clone", function() calls = calls + 1 end)
    local id = m:on_return("vm_clone", function(_, _, rax) returns, last = returns + 1, rax end)
    expect(m:command("forkstorm --processes 10"):wait().status):to_be(0)
    expect(calls):to_be_above(5)
    expect(returns):to_be(calls)
    expect(last):to_be(0)
    m:unprobe(id)
    local failing = m:fail_call("vm_clone", m.sym.STATUS_ERR_NO_MEMORY, { always = true })
    expect(m:ask("run forkstorm --processes 2")):to_contain("error")
    m:unprobe(failing)
    local asked = 0
    failing = m:fail_call("vm_clone", m.sym.STATUS_ERR_NO_MEMORY, { when = function() asked = asked + 1 return asked == 3 end })
    m:command("forkstorm --processes 10"):wait()
    expect(asked):to_be(3)
    expect(function() m:unprobe(failing) end):to_err("unprobe: id must be the id of a probe that is set")
    local stopped = 0
    m:on_entry("trap_dispatch", function() stopped = stopped + 1 m:stop() end)
    expect(m:run(orrery.ms(50))):to_be("asked")
    expect(stopped):to_be(1)
    m:wait_for { when = function() return stopped >= 5 end }
    expect(m.counters.fork_to_exit:count()):to_be_above(5)
    expect(m.counters.syscalls):to_be(m:count("syscalls", 0) + m:count("syscalls", 1))
    expect(m.sym.frame_manager.cpu_count):to_be(2)
    expect(#m.sym.frame_manager.nodes):to_be(8)
    local block = m.sym("handoff", 0) -- a layout needs no memory
    expect(block:offsetof("size") + block:sizeof("size")):to_be(block:offsetof("version"))
    expect(block.cpus:sizeof()):to_be(block:sizeof("cpus"))
    expect(block.cpus[0]:sizeof() * #block.cpus):to_be(block:sizeof("cpus"))
    expect(function() block:offsetof("sise") end):to_err("offsetof: only a struct has one, of a member of it")
    expect(function() block.cpus:sizeof("flags") end):to_err("sizeof: only a struct has one, of a member of it")
    expect(function() block:offsetof() end):to_err("offsetof: member must be a text, not nil")
end)
LUA
expect_status "hooks and counters" 0 "$orrery" run "$work/hooks.lua"

scenario places <<'LUA'
local m = orrery.machine { kernel = "orrery", cpus = 1 }
it("looks at guest memory with types", function()
    m:boot()
    local manager, names = m.sym.frame_manager, {}
    expect(manager:address()):to_be((m:symbol("frame_manager")))
    expect(m.sym("frame_manager", manager:address()).cpu_count):to_be(1)
    expect(m.sym.zone_names[0]:string()):to_be("DMA")
    m:on_entry("process_fork", function(cpu)
        local process = m.kernel.current_process(cpu)
        names[#names + 1] = process.name:string()
        expect(process:value()):not_to_be(0)
        expect(process:deref():address()):to_be(process:value())
        expect(process:deref().name:string()):to_be(names[#names])
        if process.name:string() == "init" then expect(process.parent:deref()):to_be(nil) end
        expect(m:register(cpu, "cpl")):to_be(0)
    end)
    local storm = m:command("forkstorm --processes 10")
    m:wait_for { when = function() return m:register(0, "cpl") == 3 end, every = orrery.ns(100) }
    expect(storm:wait().status):to_be(0)
    expect(table.concat(names, " ")):to_match("^init forkstorm")
end)
LUA
expect_status "places in guest memory" 0 "$orrery" run "$work/places.lua"

scenario damaged <<'LUA'
local m = orrery.machine { kernel = "orrery", cpus = 1, initrd = orrery.args.initrd }
it("does not start a damaged program", function()
    m:boot()
    local status
    m:on_return("elf_parse", function(_, _, rax) status = rax & 0xffffffff end)
    expect(m:command("forkstorm"):wait().status):to_be(127)
    expect(status):to_be(m.sym[orrery.args.status] & 0xffffffff)
    expect(m:ask("ping")):to_be("pong")
end)
LUA
# member_offset ARCHIVE NAME: where the content of a member begins in an archive of the newc format
member_offset() {
    python3 -c '
import sys
archive, wanted, at = open(sys.argv[1], "rb").read(), sys.argv[2].encode(), 0
while archive[at:at + 6] == b"070701":
    size, name_size = (int(archive[at + field:at + field + 8], 16) for field in (54, 94))
    name, start = archive[at + 110:at + 110 + name_size - 1], (at + 110 + name_size + 3) & ~3
    if name == wanted:
        print(start)
        sys.exit(0)
    at = (start + size + 3) & ~3
sys.exit(f"{sys.argv[1]}: no {sys.argv[2]}")' "$1" "$2"
}

# damaged OFFSET BYTE STATUS: forkstorm with another byte at an offset of its ELF header
damaged() {
    cp "$initrd" "$work/damaged.cpio"
    local start
    start=$(member_offset "$initrd" forkstorm) || fail "forkstorm is in the boot image"
    printf '%b' "$2" | dd of="$work/damaged.cpio" bs=1 seek=$((start + $1)) conv=notrunc status=none
    expect_status "a program with byte $1 wrong: $3" 0 "$orrery" run "$work/damaged.lua" \
        --set initrd="$work/damaged.cpio" --set status="$3"
}
damaged 0 'X' STATUS_ERR_BAD_IMAGE
damaged 18 '\x03' STATUS_ERR_UNSUPPORTED

# A scenario may be called like the chunk whose lines are no places in it.
scenario prelude2 <<'LUA'
it("is wrong", function()
    coroutine.wrap(function()
        error("boom")
    end)()
end)
LUA
expect_status "a wrong scenario called prelude2" 1 "$orrery" run "$work/prelude2.lua"
says out "has the line of its error" 'prelude2.lua:3'

# What stock Lua leaves to chance: hash seeds and addresses, by them the sizes of tables, and the moments of the collector, which
# weak tables show.
chance() {
    "$@" | head -1
}
for _ in $(seq 20); do
    chance "$orrery" run tests/e2e/chance.lua
done | sort -u >"$work/chances"
expect_same "a scenario has one result in 20 processes" "1" "$(wc -l <"$work/chances")"
if aslr_goes_off; then
    expect_same "and without ASLR" "$(cat "$work/chances")" "$(chance setarch -R "$orrery" run tests/e2e/chance.lua)"
fi
expect_same "and from another directory" "$(cat "$work/chances")" \
    "$(here=$PWD && cd / && chance env -i "$orrery" run "$here/tests/e2e/chance.lua")"

# The C library picks functions by the host's CPU; -FMA is another CPU.
for cpu in "" glibc.cpu.hwcaps=-FMA; do
    expect_same "mathematics is correctly rounded ${cpu:+with $cpu}" 982a0847cbe3 \
        "$(GLIBC_TUNABLES=$cpu chance "$orrery" run tests/e2e/libm.lua)"
done

finish
