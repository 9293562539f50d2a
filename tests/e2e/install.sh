#!/usr/bin/env bash
# make install: the installed program runs the installed scenarios from anywhere, and has a manual page.
source "$(dirname "$0")/lib.sh"

expect_status "make install" 0 flock build/make.lock make install PREFIX="$work/usr"
cd / || exit 1
expect_status "the installed fork storm passes" 0 "$work/usr/bin/orrery" run "$work/usr/share/orrery/scenarios/fork-storm.lua" \
    --set processes=20
page=$work/usr/share/man/man1/orrery.1
missing=$("$work/usr/bin/orrery" boot --help | grep -o '^  --[a-z-]*' | while read -r option; do
    grep -qF "${option//-/\\-}" "$page" || echo "$option"
done)
expect_same "the manual page has every option of boot" "none $missing" "none "
expect_same "the manual page is well formed" "none $(groff -man -Tascii -ww "$page" 2>&1 >/dev/null)" "none "
finish
