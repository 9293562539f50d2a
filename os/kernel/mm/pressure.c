/*
 * Memory-pressure levels with hysteresis and the shrinkers that run once per upward crossing. Shrinkers run
 * without the lock, so they may free memory; registering or unregistering while they run is not allowed.
 * Deviations: none.
 */

#include "mm/pressure.h"

#include "lib/spinlock.h"

static struct {
    struct spinlock lock;
    struct list shrinkers;
    struct pressure_marks marks;
    enum pressure_level level;
    uint64_t crossings[PRESSURE_CRITICAL + 1];
    bool running;
} pressure;

void pressure_init(const struct pressure_marks *marks)
{
    spinlock_init(&pressure.lock, "mm.pressure", LOCK_CLASS_PRESSURE);
    list_init(&pressure.shrinkers);
    pressure.marks = *marks;
    pressure.level = PRESSURE_NONE;
    pressure.running = false;
    for (unsigned i = 0; i <= PRESSURE_CRITICAL; i++) {
        pressure.crossings[i] = 0;
    }
}

static bool registered(const struct shrinker *shrinker)
{
    list_for_each(it, &pressure.shrinkers)
    {
        if (it == &shrinker->link) {
            return true;
        }
    }
    return false;
}

status_t pressure_register(struct shrinker *shrinker)
{
    status_t status = STATUS_ERR_EXISTS;
    uint64_t flags = spin_lock_irqsave(&pressure.lock);
    if (!registered(shrinker)) {
        shrinker->calls = 0;
        shrinker->frames = 0;
        list_push_back(&pressure.shrinkers, &shrinker->link);
        status = STATUS_OK;
    }
    spin_unlock_irqrestore(&pressure.lock, flags);
    return status;
}

void pressure_unregister(struct shrinker *shrinker)
{
    uint64_t flags = spin_lock_irqsave(&pressure.lock);
    if (registered(shrinker)) {
        list_remove(&shrinker->link);
    }
    spin_unlock_irqrestore(&pressure.lock, flags);
}

static enum pressure_level level_for(uint64_t free_frames)
{
    const struct pressure_marks *marks = &pressure.marks;
    uint64_t critical_out = pressure.level == PRESSURE_CRITICAL ? marks->margin : 0;
    uint64_t low_out = pressure.level != PRESSURE_NONE ? marks->margin : 0;
    if (free_frames < marks->critical + critical_out) {
        return PRESSURE_CRITICAL;
    }
    return free_frames < marks->low + low_out ? PRESSURE_LOW : PRESSURE_NONE;
}

bool pressure_changes(uint64_t free_frames)
{
    return level_for(free_frames) != pressure_level();
}

uint64_t pressure_shrink(enum pressure_level level)
{
    if (__atomic_exchange_n(&pressure.running, true, __ATOMIC_ACQUIRE)) {
        return 0;
    }
    uint64_t total = 0;
    list_for_each(it, &pressure.shrinkers)
    {
        struct shrinker *shrinker = list_entry(it, struct shrinker, link);
        uint64_t frames = shrinker->shrink(shrinker->context, level);
        shrinker->calls++;
        shrinker->frames += frames;
        total += frames;
    }
    __atomic_store_n(&pressure.running, false, __ATOMIC_RELEASE);
    return total;
}

uint64_t pressure_update(uint64_t free_frames)
{
    uint64_t flags = spin_lock_irqsave(&pressure.lock);
    enum pressure_level before = pressure.level;
    enum pressure_level now = level_for(free_frames);
    pressure.level = now;
    if (now > before) {
        pressure.crossings[now]++;
    }
    spin_unlock_irqrestore(&pressure.lock, flags);
    return now > before ? pressure_shrink(now) : 0;
}

bool pressure_shrinking(void)
{
    return __atomic_load_n(&pressure.running, __ATOMIC_ACQUIRE);
}

enum pressure_level pressure_level(void)
{
    return __atomic_load_n(&pressure.level, __ATOMIC_RELAXED);
}

uint64_t pressure_crossings(enum pressure_level level)
{
    return pressure.crossings[level];
}
