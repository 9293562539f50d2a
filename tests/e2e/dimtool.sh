#!/usr/bin/env bash
# The dimension tool: what it makes is the same everywhere, conversions go round, damage is found, wrong use is told.
# covers: DS-19 (U), DS-22 (U), DS-23 (U: files), DS-24 (U)
source "$(dirname "$0")/lib.sh"
dimtool=$PWD/build/rel/dimtool
json=$PWD/os/dimension/dimensions.json

sum_of() {
    (cd "$1" && sha256sum -- * | sha256sum | cut -c1-64)
}

expect_status "init makes a folder" 0 "$dimtool" init "$json" "$work/a" --fill 1000
expect_same "of fourteen dimensions and their catalog" "15 dim00.odim dim13.odim dimensions.json" \
    "$(cd "$work/a" && echo "$(ls | wc -l) $(ls | sed -n '1p;14,$p' | tr '\n' ' ' | sed 's/ $//')")"
mkdir "$work/elsewhere"
(cd "$work/elsewhere" && env -i LC_ALL=tr_TR TZ=Asia/Tokyo "$dimtool" init "$json" ../b --fill 1000)
expect_same "the same bytes from another place and environment" "$(sum_of "$work/a")" "$(sum_of "$work/b")"
expect_same "and these" 633a3c43d7184085 "$(sum_of "$work/a" | cut -c1-16)"
"$dimtool" init "$json" "$work/c" --fill 1000 --seed 2
expect_same "another seed gives other contents" no "$(cmp -s "$work/a/dim00.odim" "$work/c/dim00.odim" && echo yes || echo no)"
"$dimtool" init "$json" "$work/full" --fill full
expect_same "full files fill their region up to a page a layer" 20959232 "$(stat -c %s "$work/full/dim13.odim")"
expect_status "which the validator accepts" 0 "$dimtool" validate "$work/full/dim13.odim"

cmp -s "$json" "$work/a/dimensions.json" && ok "the catalog is in its canonical form" || fail "the catalog is in its canonical form"
expect_status "a folder becomes JSON" 0 "$dimtool" convert "$work/a" "$work/back.json"
cmp -s "$work/back.json" "$json" && ok "which is what it came from" || fail "which is what it came from" "$(diff "$work/back.json" "$json")"
expect_status "JSON becomes compressed files" 0 "$dimtool" convert "$json" "$work/packed" --fill 100000 --compress
expect_status "which the validator accepts" 0 "$dimtool" validate "$work"/packed/*.odim
"$dimtool" convert "$work/packed" "$work/back2.json"
cmp -s "$work/back2.json" "$json" && ok "and which become the same JSON" || fail "and which become the same JSON"
expect_same "half as large at most" yes \
    "$([ "$(cat "$work"/packed/*.odim | wc -c)" -lt $((14 * 4 * 100000 / 2)) ] && echo yes)"
expect_status "text placeholders" 0 "$dimtool" init "$json" "$work/text" --fill 1000 --text
expect_status "are valid" 0 "$dimtool" validate "$work"/text/*.txt
"$dimtool" convert "$work/text/dim05.txt" "$work/dim05.odim"
cmp -s "$work/dim05.odim" "$work/a/dim05.odim" && ok "and become the binary files" || fail "and become the binary files"
"$dimtool" convert "$work/a/dim05.odim" "$work/dim05.txt"
cmp -s "$work/dim05.txt" "$work/text/dim05.txt" && ok "and these become the text" || fail "and these become the text"

"$dimtool" dump "$work/a/dim03.odim" >"$work/dump"
grep -qx 'dimension 3 energy: version 1, 4 layers, 20480 bytes, seed 1' "$work/dump" &&
    grep -qx '  keywords: flow, storage, transfer, wave' "$work/dump" && ok "dump shows header and layers" ||
    fail "dump shows header and layers" "$(cat "$work/dump")"

# damage NAME BYTE TEXT: with one bit of the byte turned, validate ends with 1 and says TEXT
damage() {
    cp "$work/a/dim03.odim" "$work/hurt.odim"
    byte=$(od -An -tu1 -j"$2" -N1 "$work/hurt.odim")
    printf "\\x$(printf %x $((byte ^ 16)))" | dd of="$work/hurt.odim" bs=1 seek="$2" conv=notrunc status=none
    expect_status "$1" 1 "$dimtool" validate "$work/hurt.odim"
    grep -q "$3" "$work/out" && ok "and it says what" || fail "and it says what" "$(cat "$work/out")"
}

damage "damage in the magic number is found" 1 'byte 0: this is no dimension file'
damage "damage in the header is found" 60 "byte 124: the header's checksum differs"
damage "damage in the table is found" 200 "byte 128: the layer table's checksum differs"
damage "damage in a keyword is found" 450 "byte 448: the keywords' checksum differs"
damage "damage in a layer is found" 8200 "layer 1, byte 8192: the layer's checksum differs"
damage "damage in the padding is found" 20479 "padding is not zero"

expect_status "a folder is queried as the system would" 0 "$dimtool" query "$work/a"
expect_same "all of it is loaded" "loaded: 14 of 14 dimensions, 14 simulated, 56 layers" "$(grep loaded "$work/out")"
expect_same "in its regions" "memory: 293601280 bytes reserved, 286720 used of 293601280, 524288 of records" \
    "$(grep memory "$work/out")"
"$dimtool" query "$work/a" 3 1 >"$work/plain.layer"
"$dimtool" convert "$json" "$work/packed1" --fill 1000 --compress
"$dimtool" query "$work/packed1" 3 1 >"$work/packed.layer"
"$dimtool" query "$work/text" 3 1 >"$work/text.layer"
expect_same "plain, compressed and text files have the same layers" 1 \
    "$(cat "$work"/*.layer | wc -c | grep -vc '^0$')$(cmp "$work/plain.layer" "$work/packed.layer")$(cmp "$work/plain.layer" "$work/text.layer")"
mkdir "$work/empty" && cp "$json" "$work/empty/"
expect_status "a folder with no file is simulated from its catalog" 0 "$dimtool" query "$work/empty"
expect_same "all of it" "loaded: 14 of 14 dimensions, 14 simulated, 56 layers" "$(grep loaded "$work/out")"
expect_same "with the keywords of each layer" "flow storage transfer wave" \
    "$("$dimtool" query "$work/empty" 3 1 | tr ',' '\n' | tr -d ' ' | LC_ALL=C sort -u | tr '\n' ' ' | sed 's/ $//')"
expect_one_line "a layer that is not there" 1 "$dimtool" query "$work/a" 3 4
expect_same "says which" "dimtool: dimension 3, layer 4: the dimension has no layer of this number (dimension: no such layer)" \
    "$(cat "$work/err")"
expect_one_line "a range that is not there" 1 "$dimtool" query "$work/a" 3 1 --fill 2000
expect_status "the beginning of a layer" 0 "$dimtool" query "$work/a" 3 1 --fill 10
expect_same "is so many bytes" 10 "$(wc -c <"$work/out")"

expect_status "one bad file among good ones" 1 "$dimtool" validate "$work/a/dim00.odim" "$work/hurt.odim" "$work/a/dim01.odim"
expect_same "and each has its line" 3 "$(wc -l <"$work/out")"
expect_status "help" 0 "$dimtool" --help
expect_one_line "a missing file" 2 "$dimtool" validate "$work/none"
expect_one_line "a folder for a file" 2 "$dimtool" validate "$work/a"
expect_one_line "an unknown option" 2 "$dimtool" init "$json" "$work/d" --colour
expect_one_line "an option of another command" 2 "$dimtool" init "$json" "$work/d" --compress
expect_one_line "a number that is none" 2 "$dimtool" init "$json" "$work/d" --seed 1x
expect_one_line "a number that is missing" 2 "$dimtool" init "$json" "$work/d" --fill
expect_one_line "a conversion that does not exist" 2 "$dimtool" convert "$json.x" "$work/d"
expect_one_line "a folder without dimensions" 2 "$dimtool" convert "$work/elsewhere" "$work/x.json"
echo '{"version": 1, "dimensions": [1]}' >"$work/bad.json"
expect_one_line "JSON that is none" 2 "$dimtool" init "$work/bad.json" "$work/d"
expect_same "says line and column" "dimtool: $work/bad.json: line 1, column 31: { must stand here (dimension: malformed dimensions.json)" \
    "$(cat "$work/err")"
expect_one_line "a place that cannot be written" 2 "$dimtool" convert "$work/a" /proc/none.json
expect_same "nothing half-written is left" 0 "$(find "$work" -name '*.tmp' | wc -l)"
expect_status "no command" 2 "$dimtool"
expect_status "too many arguments" 2 "$dimtool" dump a b
finish
