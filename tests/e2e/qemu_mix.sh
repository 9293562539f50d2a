#!/usr/bin/env bash
# Load in QEMU, on both PC boards with four CPUs and two nodes: what these scenarios start is started here through the same
# port (docs/init-protocol.md), in one boot, everything twice. It leaves frames, threads and processes as they were.
#   scenarios/load-mix.lua        all load programs at once while CPUs go and come
#   scenarios/load-returns.lua    storms of capabilities, and a program that takes all memory
#   scenarios/fork-storm.lua      a storm of forks
#   tests/e2e/kernel_system.lua   memory taken and given back, in rounds; not programs that take turns by pages or keep pace
source "$(dirname "$0")/lib.sh"

mapfile -t loads < <(sed -n '/^local loads = {/,/^}/{/^ *--/!p}' scenarios/load-mix.lua | tr -d '\n' |
    sed 's/" *\.\. *"//g' | grep -o '"[^"]*"' | tr -d '"')
kept='^(frames-free|frames-dma|processes|threads|threads-dead|threads-alive|heap-bytes|heap-objects|cpus-online)$'

# listen [end]: the next line of the port that is an answer, or the end of a program, in $said; ends are kept in ended
listen() {
    while IFS= read -r -u 4 said; do
        [[ $said =~ ^exit\ ([0-9]+)\ ([0-9]+)$ ]] || return 0
        ended[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
        [ -z "${1-}" ] || return 0
    done
    said='no answer'
    return 1
}

# ask LINE: the first line of the answer in $said
ask() {
    echo "$1" >&3
    listen
}

# start STATUS LINE: a program that is to end so
start() {
    ask "run $2" && [[ $said == started\ * ]] || wrong+="$2: $said; "
    expected[${said#started }]="$1 $2"
}

# all_end: waits for all that were started
all_end() {
    local pid
    for pid in "${!expected[@]}"; do
        while [ -z "${ended[$pid]-}" ] && listen end; do :; done
        [ "${ended[$pid]-none}" = "${expected[$pid]%% *}" ] || wrong+="${expected[$pid]#* }: status ${ended[$pid]-none}; "
    done
    expected=() ended=()
}

# figures: of the system at rest, in $found
figures() {
    ask quiesce
    ask stats
    found=
    while [[ $said =~ ^([a-z0-9-]+)\ ([0-9]+)$ ]]; do
        [[ ! ${BASH_REMATCH[1]} =~ $kept ]] || found+="$said "
        listen || return
    done
}

a_round() {
    local load n
    for load in "${loads[@]}"; do start 0 "$load"; done
    all_end
    start 0 'capstorm 12 10'
    all_end
    start 0 'memhog 4 2'
    start 512 memhog
    all_end
    start 0 'forkstorm --processes 1000 --depth 6'
    all_end
    for n in 1 2 3 4 5 6 7 8; do
        start 0 "memhog $((4 * n))"
        start 0 'forkstorm --processes 20'
        all_end
    done
}

mix_in_qemu() {
    local said wrong='' found before first status
    local -A expected=() ended=()
    mkfifo "$work/port.in" "$work/port.out"
    : >"$work/out"
    exec 3<>"$work/port.in"
    scripts/qemu-run -t 500 -M "$1" -c 4 -n 2 -k "$kernel" -i "$initrd" -d "pipe:$work/port" </dev/null >"$work/out" 2>&1 &
    local qemu=$!
    until grep -q 'init: ready' "$work/out" || ! kill -0 $qemu; do sleep 0.1; done
    ! kill -0 $qemu || exec 4<"$work/port.out" # ends when QEMU does
    figures
    figures # what init needs for an answer is there
    before=$found
    a_round
    figures
    first=$found
    a_round
    figures
    echo 'exit 16' >&3
    wait $qemu
    status=$?
    exec 3>&- 4>&-
    rm "$work/port.in" "$work/port.out"
    [ "$status: $wrong" = "33: " ] || { tr -d '\r' <"$work/out" | grep -aiE 'fail|[a-z]: err|hotplug:' || true; }
    expect_same "all loads end well in QEMU $1" "33: " "$status: $wrong"
    ! grep -E '^not ok|^panic' "$work/out" || fail "no test of the loads fails in QEMU $1"
    expect_same "the first round leaves what was there in QEMU $1" "$before" "$first"
    expect_same "the second round leaves what the first did in QEMU $1" "$first" "$found"
}

[ ${#loads[@]} -ge 10 ] || fail "the loads of scenarios/load-mix.lua are found"
for board in pc q35; do mix_in_qemu $board; done
finish
