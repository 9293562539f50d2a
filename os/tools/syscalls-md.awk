# Turns the preprocessed rows of abi/syscalls.def (one "@number|id|name|where|type|rights|arguments|returns|text" a line) into
# docs/syscalls.md.
BEGIN {
    FS = "|"
    print "# System calls"
    print ""
    print "Made from `os/abi/syscalls.def` by `make os-docs`; do not edit."
    print ""
    print "`syscall` with the number in RAX, arguments in RDI, RSI, RDX, R10, R8, R9; the result comes back in RAX. RCX and R11 are lost,"
    print "every other register is kept, but by calls of messages, whose registers are those of `os/abi/ipc.h`. A negative result is a status of `os/abi/status.def`. A call needs a capability of a type"
    print "(*any* will do where it says so) with rights: in the caller's well-known slot of that type, or the one that the handle"
    print "names. Without it the call fails before it does anything."
    print ""
    print "| # | Call | Needs | Result | |"
    print "|---|---|---|---|---|"
}
/^@/ {
    number = substr($1, 2)
    for (i = 4; i <= 7; i++) {
        gsub(/^ +| +$/, "", $i)
    }
    type = $5 == "NONE" ? "any" : $5
    rights = $6 == "0" ? "" : " " $6
    needs = $4 == "NOWHERE" ? "" : type rights ($4 == "SLOT" ? "" : ", by handle")
    printf "| %d | `%s(%s)` | %s | %s | %s |\n", number, $3, $7, needs, $8, $9
}
