# Turns the preprocessed rows of abi/syscalls.def (one "@number|id|name|capability|rights|arguments|returns|text" a line) into
# docs/syscalls.md.
BEGIN {
    FS = "|"
    print "# System calls"
    print ""
    print "Made from `os/abi/syscalls.def` by `make os-docs`; do not edit."
    print ""
    print "`syscall` with the number in RAX, arguments in RDI, RSI, RDX, R10, R8, R9; the result comes back in RAX. RCX and R11 are lost,"
    print "every other register is kept. A negative result is a status of `os/abi/status.def`. A call whose capability is missing in"
    print "the caller's well-known slot fails before it does anything."
    print ""
    print "| # | Call | Needs | Result | |"
    print "|---|---|---|---|---|"
}
/^@/ {
    number = substr($1, 2)
    gsub(/^ +| +$/, "", $4)
    gsub(/^ +| +$/, "", $5)
    gsub(/^ +| +$/, "", $6)
    needs = $4 == "NONE" ? "" : $4 " " $5
    printf "| %d | `%s(%s)` | %s | %s | %s |\n", number, $3, $6, needs, $7, $8
}
