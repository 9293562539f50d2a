#!/usr/bin/env bash
# The reference page and the stubs of editors: made from the prelude and the tables, complete, up to date, and Lua.
source "$(dirname "$0")/lib.sh"

expect_status "pages and stubs are up to date" 0 scripts/make-docs --check
expect_status "the stubs are Lua" 0 "$orrery" run scenarios/lib/orrery.meta.lua

# breaks NAME FILE WHAT SED: with the change, scripts/make-docs --check ends with 1 and says WHAT
breaks() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/sim" "$work/tree/scenarios"
    cp -r scripts docs "$work/tree/"
    cp -r sim/script sim/machine sim/core sim/cpu sim/timing "$work/tree/sim/"
    cp -r scenarios/lib "$work/tree/scenarios/"
    cp --parents os/dimension/operations.def "$work/tree/"
    sed -i "$4" "$work/tree/$2"
    expect_status "$1" 1 "$work/tree/scripts/make-docs" --check
    grep -q "$3" "$work/out" && ok "and it says so" || fail "and it says so" "$(cat "$work/out")"
}

breaks "a function of the prelude needs a description" scenarios/lib/prelude.lua 'Machine:boot has no description' \
    '/^---Boots until/d; /^---not come so far/d'
breaks "its parameters need theirs" scenarios/lib/prelude.lua 'orrery.ms: its parameters' '/^function orrery.ms/s/(n)/(n, more)/'
breaks "its options need theirs" scenarios/lib/prelude.lua "option 'within' is taken but not annotated" \
    's/until_text?: string, within?: integer/until_text?: string/'
breaks "a class needs a description" scenarios/lib/prelude.lua 'Histogram has no description' '/^---Samples of whole/d'
breaks "a row of the tables needs a description" sim/script/machine.def 'cycles has no description' 's/"the clock"/""/'
breaks "a row has to be one" sim/script/place.def 'a row that is not PLACE' 's/"where it is")/where)/'
breaks "a page that is not made anew is found" docs/lua-machine.md 'docs/lua-machine.md: not up to date' '$d'
breaks "stubs that are not made anew are found" scenarios/lib/orrery.meta.lua 'orrery.meta.lua: not up to date' '$d'
breaks "a message of the dimension store that its page does not have is found" os/dimension/operations.def \
    'docs/dimension-store.md: not up to date' '$a DIM_OPERATION(33, NEW_2, 0, 1, 0, NONE, "new")'
breaks "words that its page does not have are found, too" os/dimension/operations.def 'dimension-store.md: not up to date' 's/taken out/out/'
breaks "and a row that the page has made up" docs/dimension-store.md 'docs/dimension-store.md: not up to date' \
    's/^| 32 | `CLOSE`/| 33 | `OTHER` |  | | | other |\n&/'
breaks "a message's text begins with its words" os/dimension/operations.def 'LAYER: the text does not begin with 2 words' 's/dimension, layer:/layer:/'
breaks "a message's text tells of its capability" os/dimension/operations.def 'OPEN: text and row differ' 's/, capability of the region//'
breaks "a message has to be a row" os/dimension/operations.def 'a row that is not DIM_OPERATION' 's/UNLOAD, 1, 1, 1/UNLOAD, 1, 1/'
breaks "its table has to be there" docs/dimension-store.md 'no table with the heading' '/^| Label | Operation/d'
finish
