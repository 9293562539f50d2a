/*
 * The audit ring: what was done to capabilities, and what was denied. The newest AUDIT_RECORDS are kept; what is
 * overwritten before anybody has read it is counted. Nobody waits for a reader: a reader that stood still could otherwise stop
 * every revocation.
 */
#include "cap/cap_internal.h"

#include "arch/arch.h"
#include "mm/kheap.h"

static struct {
    struct spinlock lock;
    struct cap_audit *records;
    uint64_t next; /* sequence number of the next record; the first is 1 */
    uint64_t read; /* the highest number ever read */
    uint64_t lost;
} ring = {.lock = SPINLOCK_INIT("cap.audit", CAP_AUDIT), .next = 1};

status_t audit_init(void)
{
    ring.records = kzalloc(AUDIT_RECORDS * sizeof(*ring.records));
    return ring.records != NULL ? STATUS_OK : STATUS_ERR_NO_MEMORY;
}

void audit_note(enum cap_event event, struct pid actor, struct pid holder, cap_handle_t handle, uint64_t id,
                uint64_t parent, uint64_t word, status_t status)
{
    struct cap_audit record = {.cycles = arch_cycles(),
                               .id = id,
                               .parent = parent,
                               .handle = handle.word,
                               .actor = actor.number,
                               .holder = holder.number,
                               .event = (uint16_t)event,
                               .type = (uint16_t)cap_word_type(word),
                               .rights = cap_word_rights(word),
                               .status = status};
    uint64_t irq = spin_lock_irqsave(&ring.lock);
    struct cap_audit *place = &ring.records[ring.next % AUDIT_RECORDS];
    if (place->sequence > ring.read) {
        ring.lost++;
    }
    record.sequence = ring.next++;
    *place = record;
    spin_unlock_irqrestore(&ring.lock, irq);
}

uint32_t cap_audit_read(uint64_t from, struct cap_audit *out, uint32_t limit)
{
    uint32_t count = 0;
    uint64_t irq = spin_lock_irqsave(&ring.lock);
    uint64_t oldest = ring.next > AUDIT_RECORDS ? ring.next - AUDIT_RECORDS : 1;
    for (uint64_t at = from > oldest ? from : oldest; at < ring.next && count < limit; at++) {
        out[count++] = ring.records[at % AUDIT_RECORDS];
        ring.read = at > ring.read ? at : ring.read;
    }
    spin_unlock_irqrestore(&ring.lock, irq);
    return count;
}

uint64_t audit_lost(void)
{
    return __atomic_load_n(&ring.lost, __ATOMIC_RELAXED);
}

void cap_audit_denied(struct pid pid, uint64_t id, status_t why)
{
    audit_note(CAP_EVENT_DENY, pid, pid, cap_handle(0), id, 0, 0, why);
}
