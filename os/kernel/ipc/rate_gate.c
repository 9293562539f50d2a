/* Rate limits of processes. Each process has a bucket of its own, with its parent's limit: a crowd of children cannot use up what
 * their parent may send, and how many there may be is the quota's affair. Deviations: none. */
#include "ipc/rate_gate.h"

#include "arch/x86_64/clock.h"

void rate_gate_init(struct rate_gate *gate)
{
    spinlock_init(&gate->lock, "ipc.rate", LOCK_CLASS_IPC_RATE);
    rate_limit_init(&gate->limit, 0, 0, 0, 0);
}

void rate_gate_inherit(struct rate_gate *gate, struct rate_gate *from)
{
    rate_gate_init(gate);
    uint64_t flags = spin_lock_irqsave(&from->lock);
    const struct rate_limit *limit = &from->limit;
    rate_limit_init(&gate->limit, limit->per_second, limit->burst, limit->hz, clock_cycles());
    spin_unlock_irqrestore(&from->lock, flags);
}

status_t rate_gate_set(struct rate_gate *gate, uint32_t per_second, uint32_t burst)
{
    uint64_t flags = spin_lock_irqsave(&gate->lock);
    struct rate_limit *limit = &gate->limit;
    bool stricter = limit->per_second == 0 || (per_second <= limit->per_second && burst <= limit->burst);
    if (stricter) {
        rate_limit_init(limit, per_second, burst, clock_frequency_hz(), clock_cycles());
    }
    spin_unlock_irqrestore(&gate->lock, flags);
    return stricter ? STATUS_OK : STATUS_ERR_PERMISSION;
}

bool rate_gate_pass(struct rate_gate *gate)
{
    if (gate->limit.per_second == 0) {
        return true;
    }
    uint64_t flags = spin_lock_irqsave(&gate->lock);
    bool passes = rate_limit_take(&gate->limit, clock_cycles());
    spin_unlock_irqrestore(&gate->lock, flags);
    return passes;
}
