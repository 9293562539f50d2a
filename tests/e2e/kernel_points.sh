#!/usr/bin/env bash
# What scenarios provoke in the middle of lookups of capabilities, of a lock-free channel, and of messages.
source "$(dirname "$0")/lib.sh"

expect_status "revoked capabilities are found by nobody" 0 "$orrery" run tests/e2e/kernel_revoke.lua
# covers: CP-09 (X), CP-20 (X)
expect_status "what is revoked in the middle of a message arrives whole or not at all" 0 "$orrery" run tests/e2e/kernel_going.lua
expect_status "a lock-free channel is linearizable on 5 cpus" 0 "$orrery" run tests/e2e/kernel_ring.lua
expect_status "a lock-free channel is linearizable on 3 cpus" 0 "$orrery" run tests/e2e/kernel_ring.lua --cpus 3 --seed 7
expect_status "who is ended in the middle of a message takes nobody along" 0 "$orrery" run tests/e2e/kernel_kill.lua

finish
