#!/usr/bin/env bash
# The nightly run, short: the long tests through the script that a host calls each night, its report, its verdict.
# covers: TS-07 (the nightly run for a second)
source "$(dirname "$0")/lib.sh"
reports=$work/reports
nightly=(env NIGHTLY_REPORTS="$reports" .ci/nightly)

# last WHICH: the last line of a report, the first that was made or the last, without commit and time
last() {
    find "$reports" -name '20??-??-??T??????Z-*.txt' | LC_ALL=C sort | "$1" -1 | xargs tail -1 |
        sed -E 's/of [0-9a-f]{12}:/of C:/; s/after [0-9]+ s/after N s/'
}

expect_status "the nightly run passes" 0 "${nightly[@]}" 1 2000
expect_same "its report ends with the verdict" "nightly run of C: passed after N seconds" "$(last head)"
expect_same "it made the hostile calls, kept the heap's objects and left the system as it was" "1 1 1" \
    "$(for what in '^hostile: seed 1, [0-9]* children' '^ok 1 - heap_objects_keep_their_checksums_for_long' \
        '^1 passed, 0 failed .* state-hash'; do grep -c "$what" "$reports"/*; done | xargs)"
expect_same "the report is all that was printed" "$(md5sum <"$work/out")" "$(cat "$reports"/* | md5sum)"

sleep 1 # reports are told apart by their second
expect_status "a nightly run that cannot do its work fails" 2 "${nightly[@]}" none 10
expect_same "and says so in a report of its own" "nightly run of C: FAILED with status 2 after N seconds" "$(last tail)"
expect_same "the report before is still there" 2 "$(find "$reports" -type f | wc -l)"
finish
