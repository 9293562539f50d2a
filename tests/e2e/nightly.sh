#!/usr/bin/env bash
# The nightly run, short: the long tests through the script that a host calls each night, its report, its verdict; and the
# schedule by which the host does so, at full length.
# covers: TS-07, DS-38 (D)
source "$(dirname "$0")/lib.sh"
reports=$work/reports
nightly=(env NIGHTLY_REPORTS="$reports" .ci/nightly)

# last WHICH: the last line of a report, the first that was made or the last, without commit and time
last() {
    find "$reports" -name '20??-??-??T??????Z-*.txt' | LC_ALL=C sort | "$1" -1 | xargs tail -1 |
        sed -E 's/of [0-9a-f]{12}:/of C:/; s/after [0-9]+ s/after N s/'
}

# what builds containers only tells how it was called here, and fails when it is told to (the recipe: tests/e2e/container.sh)
builder=$work/builder
cat >"$builder" <<'END'
#!/bin/sh
echo "builds with $* where scripts/test is$([ -x scripts/test ] || echo ' not')"
exit "${BUILDER_STATUS:-0}"
END
chmod +x "$builder"

expect_status "the nightly run passes" 0 env NIGHTLY_CONTAINER="$builder build --quiet" "${nightly[@]}" 1 2000 10
expect_same "its report ends with the verdict" "nightly run of C: passed after N seconds" "$(last head)"
expect_same "it made the hostile calls, kept the heap's objects and left the system as it was" "1 1 1" \
    "$(for what in '^hostile: seed 1, [0-9]* children' '^ok 1 - heap_objects_keep_their_checksums_for_long' \
        '^1 passed, 0 failed .* state-hash'; do grep -c "$what" "$reports"/*; done | xargs)"
expect_same "the report is all that was printed" "$(md5sum <"$work/out")" "$(cat "$reports"/* | md5sum)"

expect_same "and had a container built, by the recipe" 1 \
    "$(grep -c '^builds with build --quiet -f Containerfile . where scripts/test is$' "$work/out")"

sleep 1
expect_status "a night whose container is not built fails" 5 env NIGHTLY_CONTAINER="$builder" BUILDER_STATUS=5 "${nightly[@]}" 1 200 10
sleep 1 # reports are told apart by their second
expect_status "a nightly run that cannot do its work fails" 2 "${nightly[@]}" none 10
expect_same "and says so in a report of its own" "nightly run of C: FAILED with status 2 after N seconds" "$(last tail)"
expect_same "the reports before are still there" 3 "$(find "$reports" -type f | wc -l)"

# The schedule that a host installs: when, and what it calls. The origin is a repository whose .ci/nightly only tells how it was
# called.
units=$work/host/etc/systemd/system
service=$units/orrery-nightly.service
timer=$units/orrery-nightly.timer
git init -q "$work/origin"
mkdir "$work/origin/.ci" "$work/tmp"
cat >"$work/origin/.ci/nightly" <<'END'
#!/bin/sh
echo "called in $(git -C "$(dirname "$0")" rev-parse --show-toplevel) with $# words, reports in $NIGHTLY_REPORTS"
exit "${CALLED_STATUS:-0}"
END
chmod +x "$work/origin/.ci/nightly"
git -C "$work/origin" add .ci
git -C "$work/origin" -c user.name=t -c user.email=t@example.org commit -qm "A night"
expect_status "make install-nightly" 0 \
    make -s install-nightly DESTDIR="$work/host" NIGHTLY_ORIGIN="$work/origin" NIGHTLY_REPORTS="$reports" NIGHTLY_CONTAINER="podman build"
expect_same "it installs a timer and its service" "$service $timer" "$(find "$work/host" -type f | LC_ALL=C sort | xargs)"
expect_same "the service has origin, reports and builder of this host" \
    "HOME=/tmp NIGHTLY_ORIGIN=$work/origin NIGHTLY_REPORTS=$reports NIGHTLY_CONTAINER=podman build" \
    "$(sed -n 's/^Environment=//p' "$service" | xargs)"
expect_same "and nothing of it is left to be set" 0 "$(grep -cE '@[A-Z]+@' "$service")"
# covers: TS-07 (the schedule)
expect_same "the timer is wanted with all timers, each night, also after one that was missed" \
    "OnCalendar=*-*-* 01:30 Persistent=yes WantedBy=timers.target" \
    "$(sed '/^\[Unit\]/,/^\[/d; /^[[#]/d; /^$/d' "$timer" | xargs -d '\n')"

# the service's command in its environment, below $work instead of its own /tmp
command="cd $work/tmp && env $(sed -n 's/^Environment=//p' "$service" | tr '\n' ' ') $(sed -n 's/^ExecStart=//p' "$service")"
# covers: TS-07 (the schedule)
expect_status "the service's command passes when the nightly run does" 0 bash -c "$command"
expect_same "it is the nightly run at its full length, in a clean clone of the origin" \
    "called in $work/tmp/orrery with 0 words, reports in $reports" "$(cat "$work/out")"
expect_status "it fails when the nightly run does, also where a clone was left" 3 env CALLED_STATUS=3 bash -c "$command"
if command -v systemd-analyze >/dev/null; then
    expect_status "systemd takes both units" 0 systemd-analyze verify "$timer" "$service"
    expect_same "without a word" 0 "$(cat "$work/out" "$work/err" | wc -c)"
    expect_status "and knows when that is" 0 systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' "$timer")"
else
    echo "# no systemd-analyze here: the units are compared by their text only"
fi
finish
