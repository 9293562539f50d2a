#!/usr/bin/env bash
# What must not compile: mixing the kernel's wrapped types. Each wrong line is first shown to be wrong for this reason alone:
# the same lines with the right type compile. covers: VM-10 (D), ER-06 (D)
source "$(dirname "$0")/lib.sh"

compile() {
    printf '#include "types.h"\n#include "mm/pagetable.h"\n#include "sched/thread.h"\n#include "cap/cap.h"\n#include "mm/vm.h"\n#include "ipc/ipc.h"\n%s\n' "$1" >"$work/case.c"
    "${CC:-gcc}" -std=c17 -Wall -Wextra -Werror -ffreestanding -mgeneral-regs-only -Ios -Ios/kernel -fsyntax-only \
        "$work/case.c" 2>"$work/err"
}

# refused NAME RIGHT WRONG
refused() {
    if ! compile "$2"; then
        fail "$1" "the right form does not compile" "$(cat "$work/err")"
    elif compile "$3"; then
        fail "$1" "it compiles: $3"
    elif grep -qE 'incompatible type|invalid operands|wrong type argument|used where a scalar|aggregate value' "$work/err"; then
        ok "$1"
    else
        fail "$1" "refused for another reason" "$(cat "$work/err")"
    fi
}

from_physical='uint64_t f(paddr_t p); uint64_t f(paddr_t p) { return paddr_number(p); } uint64_t g(paddr_t p, vaddr_t v); '
refused "a virtual address is no physical one" "$from_physical uint64_t g(paddr_t p, vaddr_t v) { (void)v; return f(p); }" \
    "$from_physical uint64_t g(paddr_t p, vaddr_t v) { (void)p; return f(v); }"
refused "an integer is no address" 'paddr_t f(uint64_t n); paddr_t f(uint64_t n) { return paddr_make(n); }' \
    'paddr_t f(uint64_t n); paddr_t f(uint64_t n) { return n; }'
refused "an address is no integer" 'uint64_t f(vaddr_t v); uint64_t f(vaddr_t v) { return vaddr_number(v); }' \
    'uint64_t f(vaddr_t v); uint64_t f(vaddr_t v) { return v; }'
refused "addresses are not added" 'vaddr_t f(vaddr_t v); vaddr_t f(vaddr_t v) { return vaddr_add(v, 8); }' \
    'vaddr_t f(vaddr_t v); vaddr_t f(vaddr_t v) { return v + 8; }'
refused "an address is no page flag" 'bool f(page_flags_t a); bool f(page_flags_t a) { return page_flags_contain(a, a); }' \
    'bool f(page_flags_t a, vaddr_t v); bool f(page_flags_t a, vaddr_t v) { return page_flags_contain(a, v); }'

takes_pid='uint32_t f(pid_t p); uint32_t f(pid_t p) { return p.number; } uint32_t g(pid_t p, tid_t t); '
refused "a thread's number is no process's" "$takes_pid uint32_t g(pid_t p, tid_t t) { (void)t; return f(p); }" \
    "$takes_pid uint32_t g(pid_t p, tid_t t) { (void)p; return f(t); }"
refused "a process's number is no integer" 'uint32_t f(pid_t p); uint32_t f(pid_t p) { return p.number; }' \
    'uint32_t f(pid_t p); uint32_t f(pid_t p) { return p; }'
refused "an integer is no thread's number" 'tid_t f(uint32_t n); tid_t f(uint32_t n) { return (tid_t){n}; }' \
    'tid_t f(uint32_t n); tid_t f(uint32_t n) { return n; }'

refused "a thread's number owns no capability space" \
    'struct cap_space *f(pid_t p); struct cap_space *f(pid_t p) { return cap_space_create(p); }' \
    'struct cap_space *f(tid_t t); struct cap_space *f(tid_t t) { return cap_space_create(t); }'
refused "an integer owns no address space" \
    'status_t f(struct address_space *s); status_t f(struct address_space *s) { return vm_space_init(s, (pid_t){1}); }' \
    'status_t f(struct address_space *s); status_t f(struct address_space *s) { return vm_space_init(s, 1); }'

# covers: IP-17 (D)
refused "an integer names no endpoint" 'status_t f(cap_handle_t h); status_t f(cap_handle_t h) { return ipc_send(h, 0); }' \
    'status_t f(uint64_t h); status_t f(uint64_t h) { return ipc_send(h, 0); }'
# covers: IP-17 (D)
refused "a handle is no integer" 'uint64_t f(cap_handle_t h); uint64_t f(cap_handle_t h) { return h.word; }' \
    'uint64_t f(cap_handle_t h); uint64_t f(cap_handle_t h) { return h; }'
# covers: IP-17 (D)
refused "a process's number names no capability" \
    'bool f(cap_handle_t h); bool f(cap_handle_t h) { return ipc_reply(h) == STATUS_OK; }' \
    'bool f(pid_t p); bool f(pid_t p) { return ipc_reply(p) == STATUS_OK; }'

# A message of the dimension store has eight words, of which a capability takes one (os/dimension/operations.def).
row_fits() {
    mkdir -p "$work/dimension"
    sed -E "s/^(DIM_OPERATION\([0-9]+, $1, )[0-9], [0-9],/\1$2,/" os/dimension/operations.def >"$work/dimension/operations.def"
    grep -q "$1, $2," "$work/dimension/operations.def" && "${CC:-gcc}" -std=c17 -Wall -Wextra -Werror -I"$work" -Ios -Ios/kernel \
        -fsyntax-only os/dimension/protocol.c 2>"$work/err"
}

# no_room OPERATION RIGHT WRONG: words of the request and of the answer
no_room() {
    local name="a message of the dimension store has room for what goes with it: $1"
    if ! row_fits "$1" "$2"; then
        fail "$name" "$2 do not compile" "$(cat "$work/err")"
    elif row_fits "$1" "$3"; then
        fail "$name" "$3 compile"
    else
        expect_same "$name" 1 "$(grep -c "error: static.*$1: a message has no room" "$work/err")"
    fi
}
no_room OPEN "1, 7" "1, 8"
no_room BOARD "0, 7" "0, 8"
no_room LAYER "8, 8" "9, 8"
no_room LIST "0, 8" "0, 9"
no_room CLOSE "0, 1" "0, 0"

# Numbers of processes and threads are kept and passed in their own types everywhere: no plain integer has such a name.
plain=$(grep -rnE '\b(unsigned|int|u?int(32|64)_t) \**([a-z_]+_)?(pid|tid)\b' os/kernel os/boot --include=*.h --include=*.c)
expect_same "no plain integer is called pid or tid in the kernel" "none" "${plain:-none}"

finish
