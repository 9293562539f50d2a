#!/bin/sh
# Prints docs/locking.md: locking-md.sh OS-DIRECTORY COMPILER
set -eu
cat <<'TEXT'
# Locks

Made from `os/kernel/lib/lock_classes.def` by `make os-docs`; do not edit.

A lock may be taken only while all locks held have a smaller rank. Every lock is a ticket spinlock, taken with interrupts off
(`spin_lock_irqsave`), so that no thread is preempted while it holds one, or never by interrupt code (`lib/spinlock.h`; the lock
validator checks it). A CPU that spins answers TLB shootdowns meanwhile (`arch_pause`). Address spaces are serialised by a gate
whose waiters sleep (`mm/vm.h`); no spinlock is held while waiting for it or while a shootdown is under way. Who finds the
heap buddy's lock taken waits with interrupts as they were (`spin_lock_irqsave_patient`), in no order: many CPUs want it at once.

The run-queue lock is special: it is held from the decision to switch until the next thread has taken over, so that nobody
can run a thread elsewhere whose registers are not saved yet.

| Class | Name | Rank | Protects |
|---|---|---|---|
TEXT
printf '%s\n%s\n' '#define LOCK_CLASS(id, name, rank, text) @| id | name | rank | text |' \
    '#include "kernel/lib/lock_classes.def"' |
    "$2" -E -P -I"$1" -x c - | grep '^@' | sed 's/^@//; s/"//g'
