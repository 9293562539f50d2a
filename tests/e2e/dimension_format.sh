#!/usr/bin/env bash
# The binary form of dimension files is what docs/dimension-store.md says: a reader made of the page's tables and nothing else accounts
# for every byte of files of both kinds, and these are the golden ones.
# covers: DS-21 (D)
source "$(dirname "$0")/lib.sh"
dimtool=$PWD/build/rel/dimtool

# read_by_the_page FILE: prints the layers; status 1 with what is not as the page says
read_by_the_page() {
    python3 - docs/dimension-store.md "$1" <<'PY'
import re
import sys

page = open(sys.argv[1], encoding="utf-8").read()
data = open(sys.argv[2], "rb").read()


def check(condition, what):
    if not condition:
        sys.exit("not as the page says: " + what)


def table(heading):
    """{meaning: (offset, bytes)} of the table with that heading, whose rows leave no gap."""
    rows = re.search(r"\| Offset \| Bytes \| " + heading + r".*\n\|[-|]+\n((?:\|.*\n)+)", page).group(1)
    fields, at = {}, 0
    for offset, size, meaning in re.findall(r"\| (\d+) \| (\d+) \| (.*) \|", rows):
        check(int(offset) == at, f"{heading}: a gap before {offset}")
        fields[meaning] = (at, int(size))
        at += int(size)
    return fields, at


def crc32c(piece):
    crc = 0xFFFFFFFF
    for byte in piece:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Record:
    """Fields of a table at a place of the file, by how their meaning begins."""

    def __init__(self, fields, base):
        self.fields, self.base = fields, base

    def bytes(self, start):
        found = [where for meaning, where in self.fields.items() if re.match(start, meaning)]
        check(len(found) == 1, f"one field begins with {start}")
        return data[self.base + found[0][0]:self.base + found[0][0] + found[0][1]]

    def number(self, start):
        return int.from_bytes(self.bytes(start), "little")

    def name(self):
        text = self.bytes("name, then zeros")
        name = text.rstrip(b"\0")
        check(re.fullmatch(rb"[A-Za-z0-9_-]{1,31}", name), "a name")
        return name.decode()


def inflate(block):
    """One LZ4 block."""
    out, at = bytearray(), 0

    def length(nibble, at):
        if nibble == 15:
            while True:
                nibble, at = nibble + block[at], at + 1
                if block[at - 1] != 255:
                    break
        return nibble, at

    while True:
        token, at = block[at], at + 1
        literals, at = length(token >> 4, at)
        out += block[at:at + literals]
        at += literals
        if at == len(block):
            return bytes(out)
        back, at = int.from_bytes(block[at:at + 2], "little"), at + 2
        match, at = length(token & 15, at)
        for _ in range(match + 4):
            out.append(out[-back])


header_fields, header_size = table(r"Header \(128\)")
record_fields, record_size = table(r"Record of a layer \(80\)")
check((header_size, record_size) == (128, 80), "128 bytes of header, 80 of a record")
header = Record(header_fields, 0)
magic = next(meaning for meaning, (offset, _) in header_fields.items() if offset == 0)
check(data[:8] == bytes.fromhex(magic.strip("`")), "the first eight bytes")
check(header.number("version: 1") == 1 and header.number("bytes of the header: 128") == 128, "version, header")
check(header.number("bytes of a record: 80") == 80 and header.number("flags: 0") == 0, "records, flags")
check(header.number("bytes of the file") == len(data) and len(data) % 4096 == 0, "bytes of the file")
check(header.number("CRC-32C of the 124 bytes before") == crc32c(data[:124]), "the header's checksum")
check(not any(header.bytes("zeros")), "zeros of the header")
layers = header.number("layers: 1 to 1024")
words_at = header_size + layers * record_size
words = data[words_at:words_at + header.number("bytes of the keyword area")]
check(header.number("CRC-32C of the layer table") == crc32c(data[header_size:words_at]), "the table's checksum")
check(header.number("CRC-32C of the keyword area") == crc32c(words), "the keywords' checksum")
end = words_at + len(words)
keywords_end, before = 0, -1
block_at = (end + 4095) // 4096 * 4096
check(not any(data[end:block_at]), "zeros up to the first block")
print("dimension", header.number("number of the dimension"), header.name(), "seed", header.number("seed"))
for i in range(layers):
    record = Record(record_fields, header_size + i * record_size)
    number, flags, stored = record.number("number"), record.number("flags"), record.number("stored bytes")
    check(number > before, "ascending numbers")
    check(record.number("offset of the block") == block_at, "blocks in the table's order")
    block = data[block_at:block_at + stored]
    check(record.number("CRC-32C of the stored bytes") == crc32c(block), "a block's checksum")
    content = inflate(block) if flags & 1 else block
    check(record.number("bytes of the content") == len(content), "bytes of the content")
    check(record.number("CRC-32C of the content") == crc32c(content), "the content's checksum")
    next_at = block_at + (stored + 4095) // 4096 * 4096
    check(not any(data[block_at + stored:next_at]), "zeros behind a block")
    check(record.number("offset of its keywords") == keywords_end, "keywords in the table's order")
    own = words[keywords_end:keywords_end + record.number("bytes of its keywords")]
    listed = own.decode().split("\n")[:-1]
    check(own.endswith(b"\n") and len(listed) == record.number("keywords"), "keywords end with line feeds")
    if flags & 2:
        used = set(content.decode().replace("\n", ", ").removesuffix(", ").split(", "))
        check(used <= set(listed), "simulated contexts hold the layer's own keywords only")
    size = f"{len(content)} bytes in {stored}" if flags & 1 else f"{len(content)} bytes"
    print(f"layer {number} {record.name()}: {size} at {block_at}; keywords: {', '.join(listed)}")
    keywords_end, block_at, before = keywords_end + len(own), next_at, number
check(keywords_end == len(words) and block_at == len(data), "nothing behind the last block")
PY
}

# check_file NAME FILE GOLDEN
check_file() {
    if read_by_the_page "$2" >"$work/read" 2>"$work/why"; then
        ok "a $1 file is what the page says"
    else
        fail "a $1 file is what the page says" "$(cat "$work/why")"
    fi
    "$dimtool" dump "$2" >"$work/dump"
    expect_same "in which dimtool sees the same: $1" "$(cat "$work/read")" "$(sed -E '
        1s/^dimension ([0-9]+) (\S+): .*, seed ([0-9]+)$/dimension \1 \2 seed \3/
        /^layer/{N; s/^(layer [0-9]+ \S+:).* ([0-9]+ bytes( in [0-9]+)?) at ([0-9]+), .*\n +keywords: /\1 \2 at \4; keywords: /}' "$work/dump")"
    expect_same "and it is the golden one: $1" "$3" "$(sha256sum <"$2" | cut -c1-16)"
}

"$dimtool" init os/dimension/dimensions.json "$work/plain" --fill 1500
mkdir "$work/packed"
"$dimtool" convert os/dimension/dimensions.json "$work/packed" --fill 1500 --compress
check_file plain "$work/plain/dim03.odim" a33cd6ba6e82101c
check_file compressed "$work/packed/dim11.odim" 180a0c3c09673815

# a page or a file that differs is noticed
cp "$work/plain/dim03.odim" "$work/hurt.odim"
printf 'x' | dd of="$work/hurt.odim" bs=1 seek=4200 conv=notrunc status=none
read_by_the_page "$work/hurt.odim" >"$work/read" 2>"$work/why" && fail "damage is noticed" "$(cat "$work/read")" ||
    expect_same "damage is noticed" "not as the page says: a block's checksum" "$(cat "$work/why")"
finish
