#!/usr/bin/env python3
"""Makes the table of blocks that the task holds (struct block of tests/fidelity/fidelity.h) of the list of them.
  scripts/fidelity/blocks.py tests/fidelity/blocks.txt OUT
A line of the list: the bytes in hexadecimal, the number of instructions, where they come from.
"""
import struct
import sys

INSTRUCTIONS = 1000  # in the shorter of the two unrolled forms, about
FORM_BYTES = 7000    # of it, at most: the longer has to fit into a first cache
MIN_COPIES = 8


def read_list(path):
    """(bytes, instructions, source) of each block."""
    with open(path, encoding="utf-8") as source:
        rows = [line.split(None, 2) for line in source if line.strip() and not line.startswith("#")]
    return [(bytes.fromhex(code), int(count), where.strip()) for code, count, where in rows]


def copies(code, count):
    return max(MIN_COPIES, min(-(-INSTRUCTIONS // count), FORM_BYTES // len(code)))


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    blocks = read_list(sys.argv[1])
    out = bytearray(struct.pack("<Q", len(blocks)))
    for code, count, _ in blocks:
        row = struct.pack("<HH", len(code), copies(code, count)) + code
        out += row + bytes(-len(row) % 4)
    with open(sys.argv[2], "wb") as target:
        target.write(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
