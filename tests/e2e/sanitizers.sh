#!/usr/bin/env bash
# Every unit, differential and fuzz program again under the address and undefined-behaviour sanitisers.
source "$(dirname "$0")/lib.sh"

if make_shared -j"$(nproc)" MODE=asan tests >"$work/log" 2>&1; then
    ok "the tests build with the sanitisers"
else
    fail "the tests build with the sanitisers" "$(grep -E 'error:|\*\*\*' "$work/log")"
    finish
fi
find build/asan/tests -type f -executable -name 'test_*' ! -path '*/unit/os/*' | LC_ALL=C sort |
    xargs scripts/run-tests || failures=$((failures + 1))
finish
