#!/usr/bin/env bash
# The oracle of the timing model on stamps that were derived by hand from docs/timing.md (tests/oracle/v0, the arithmetic beside
# each), and on traces that are wrong.
source "$(dirname "$0")/lib.sh"

make_shared -s oracle >"$work/make" 2>&1 || fail "the oracle builds" "$(tail -5 "$work/make")"
oracle=$PWD/build/rel/oracle
v0=$PWD/tests/oracle/v0

# machine TRACE: $work/machine has the parameters that it was derived for
machine() {
    cat "$v0/../$(sed -n 's/^# machine: //p' "$1")" >"$work/machine"
    sed -n 's/^# with: //p' "$1" >>"$work/machine"
}

# verdict TRACE: exit status and number of differences on $work/machine
verdict() {
    "$oracle" "$work/machine" "$1" >"$work/out" 2>&1
    echo "$? $(sed -n 's/.*: \([0-9]*\) differences$/\1/p' "$work/out")"
}

steps=0
for trace in "$v0"/*.trace; do
    name=$(basename "$trace" .trace)
    machine "$trace"
    got=$(verdict "$trace")
    if [ "$got" = "0 0" ]; then
        ok "stamps of $name"
    else
        fail "stamps of $name" "$(head -20 "$work/out")"
    fi
    count=$(grep -c '^S' "$trace")
    steps=$((steps + count))
    # a stamp that is one too large in every step: D E C R W F in turn
    noticed=0
    for column in 5 4 3 2 1 0; do
        python3 -c '
import sys
for line in open(sys.argv[1]):
    words = line.split()
    if words and words[0] == "S":
        words[-1 - int(sys.argv[2])] = "%x" % (int(words[-1 - int(sys.argv[2])], 16) + 1)
        line = " ".join(words) + "\n"
    sys.stdout.write(line)' "$trace" $column >"$work/wrong.trace"
        [ "$(verdict "$work/wrong.trace")" = "1 $count" ] && noticed=$((noticed + 1))
    done
    expect_same "every stamp of $name counts" 6 $noticed
done
expect_same "there are at least 200 stamps" yes "$([ $((steps * 6)) -ge 200 ] && echo yes)"

machine "$v0/alu.trace"
echo 'rename_width = 6' >>"$work/machine"
expect_same "a parameter that it does not know is not passed over" 2 "$(verdict "$v0/alu.trace" | cut -d' ' -f1)"

# changed NAME SED: a trace of v0 that was changed
changed() {
    machine "$v0/$1.trace"
    sed -E "$2" "$v0/$1.trace" >"$work/wrong.trace"
    verdict "$work/wrong.trace"
}

# differs NAME TRACE SED: it is not equal any more
differs() {
    local got
    got=$(changed "$2" "$3")
    case $got in
    "1 0" | [!1]*) fail "$1" "$got" "$(head -5 "$work/out")" ;;
    *) ok "$1" ;;
    esac
}

differs "a wait that is left out" stores '/^T 0 r/d'
differs "a wait for an empty queue that is left out" stores '/^T 0 q/d'
differs "a line that nobody waited for" locked '/^T 0 l:2140/d'
differs "a wait for nothing" alu '0,/^S/s/^(S.*)/\1\nT 0 q = 43/'
differs "a wait until another time" locked 's/^(T 0 q =) .*/\1 59/'
differs "steps out of order" coherence '0,/^S 0/{/^S 0/{h;d}}; 0,/^S 1/{/^S 1/G}'
expect_same "which is said" 1 "$(grep -c 'order: cpu 0 at 0 comes after cpu 1 at 5' "$work/out")"
differs "another length" alu '0,/^S/s/f:1000:5/f:1000:4/'
differs "an instruction that no class has" alu '0,/^S/s/b805000000/c5f8770000/'
differs "bytes that are no instruction" alu '0,/^S/s/b805000000/0f04000000/'
differs "another address" loads 's/l:2140/l:2540/'
differs "a bit that is set before its line is owned" updates '/^T 1 l:6080/d'
differs "a bit that nobody set" paging '/^T 0 u/d'
differs "the turn over two lines that is left out" splits '0,/^T 1 l:213e:2140/{/^T 1 l:213e:2140/d}'
differs "one line where it has two" split 's/l:213e:2140/l:213e/'
expect_same "which is said, too" 1 "$(grep -c 'it has waited for one line\|it has to wait for a line' "$work/out")"
differs "a delivery of INT n after another vCPU's step" int '/^S 0 e/{h;d}; /^S 1 i 64 1021/{G}'
differs "a walk less" paging '0,/^S/s/w:8008 //'

expect_same "a line of another kind is refused" "2 " "$(changed alu '0,/^S/s/^S/Q/')"
expect_same "five stamps are refused" "2 " "$(changed alu 's/^(S.*) [0-9a-f]+$/\1/')"
expect_same "an item of another kind is refused" "2 " "$(changed loads 's/ l:/ x:/')"
expect_same "an empty trace is refused" "2 " "$(changed alu '/^S/d')"
sed '/^l2_ways/d' "$v0/inorder.params" >"$work/machine"
expect_same "a parameter that is missing" "2 " "$(verdict "$v0/alu.trace")"
sed 's/^l2_ways.*/l2_ways = 3/' "$v0/inorder.params" >"$work/machine"
expect_same "ways that are no power of two" "2 " "$(verdict "$v0/alu.trace")"
"$oracle" >"$work/out" 2>&1
expect_same "no arguments" 2 $?

finish
