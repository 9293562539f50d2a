#!/usr/bin/env bash
# The recipe of the development container: it names only what there is, and its steps up to the test suite work here. Building it
# needs a container runtime and runs all tests: a night does that (.ci/nightly).
# covers: DS-38 (D)
source "$(dirname "$0")/lib.sh"
recipe=Containerfile
grep -vE '^(#|$)' "$recipe" >"$work/steps"

expect_same "it has only instructions that podman and docker share" "COPY FROM RUN WORKDIR" \
    "$(cut -d' ' -f1 "$work/steps" | sort -u | tr '\n' ' ' | sed 's/ $//')"
expect_same "it starts from the system that scripts/setup is made for" "FROM docker.io/library/debian:12" "$(head -1 "$work/steps")"
grep -q '^# Installs what building and testing need, on Debian 12' scripts/setup && ok "which is Debian 12" || fail "which is Debian 12"
expect_same "its last step is the test suite" "RUN scripts/test" "$(tail -1 "$work/steps")"
expect_same "what is built here does not go into it" build "$(cat .dockerignore)"
expect_same "nothing else asks for a container but a night that is told to" ".ci/nightly tests/e2e/container.sh tests/e2e/nightly.sh" \
    "$(grep -rlE '\b(podman|docker|buildah)\b' Makefile os/os.mk scripts .ci tests | LC_ALL=C sort | xargs)"

# The steps themselves, in an empty folder, with the files of git as the context. The test suite is the one that is running.
context=$work/context
image=$work/image
mkdir -p "$context" "$image"
git ls-files -co --exclude-standard -z | xargs -0 cp --parents -t "$context"
while read -r instruction words; do
    case $instruction in
    WORKDIR)
        image=$image$words
        mkdir -p "$image"
        ;;
    COPY)
        from=${words% *}
        to=${words##* }
        if [ -d "$context/$from" ]; then
            expect_status "the files of '$from' are there" 0 cp -a "$context/$from/." "$image/$to"
        else
            mkdir -p "$(dirname "$image/$to")"
            expect_status "the file $from is there" 0 cp -a "$context/$from" "$image/$to"
        fi
        ;;
    RUN)
        [ "$words" = scripts/test ] && break
        # shellcheck disable=SC2086
        expect_status "$words works with what was copied before" 0 env -C "$image" $words
        ;;
    esac
done <"$work/steps"
[ -x "$image/scripts/test" ] && ok "the test suite can be started" || fail "the test suite can be started" "$(ls "$image")"
expect_status "and does first what the recipe has done" 0 grep -qx 'scripts/setup lint' "$image/scripts/test"
finish
