# Turns `nm -n` of the kernel into the assembly of section .symbols: functions in ascending order, offsets from text_start.
# Addresses are 16 hexadecimal digits whose upper half is ffffffff, so the lower half is enough.
function hex(text,   value, i) {
    value = 0
    for (i = 1; i <= length(text); i++) {
        value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
    }
    return value
}
BEGIN { count = 0 }
$3 == "text_start" { start = hex(substr($1, 9)) }
($2 == "t" || $2 == "T") && $3 != "text_start" && $3 != "image_start" && $3 != "text_end" {
    address[count] = hex(substr($1, 9))
    name[count++] = $3
}
END {
    print "    .section .symbols, \"a\", @progbits"
    print "    .balign 8"
    print "    .globl symbol_count, symbol_table, symbol_names"
    print "symbol_count:\n    .quad " count + 0
    print "symbol_table:"
    offset = 0
    for (i = 0; i < count; i++) {
        print "    .long " address[i] - start ", " offset
        offset += length(name[i]) + 1
    }
    print "symbol_names:"
    for (i = 0; i < count; i++) {
        print "    .asciz \"" name[i] "\""
    }
    print "    .section .note.GNU-stack, \"\", @progbits"
}
