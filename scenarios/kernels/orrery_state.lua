-- What the kernel in os/ has in its structures: objects of its slab caches, tasks, locks, ends of messages. Read through
-- DWARF, from outside, at any moment: a list that a CPU is just changing is an error that says so, never an endless walk.

local state = {}

local LIST_LIMIT <const> = 1 << 20
local NO_SLOT <const> = 0xffff -- SLAB_SLOT_NONE
local PAGE_BYTES <const> = 4096

-- The structs of a type whose node `member` is in the list, in its order.
local function entries(m, head, type, member)
    local offset = m.sym(type, 0):offsetof(member)
    local found, node = {}, head.next:value()
    while node ~= head:address() do
        if node == 0 or #found == LIST_LIMIT then error("a list of " .. type .. " is not whole: a CPU is changing it", 2) end
        found[#found + 1] = m.sym(type, node - offset)
        node = m.sym("list", node).next:value()
    end
    return found
end

-- ---- slab caches ----

local function caches(m)
    return entries(m, m.sym.registry.caches, "slab_cache", "link")
end

local function cache_named(m, name)
    for _, cache in ipairs(caches(m)) do
        if cache.name:string() == name then return cache end
    end
    error("the kernel has no slab cache '" .. tostring(name) .. "'", 3)
end

-- Addresses of objects that are free in the CPUs' front caches, as a set, and how many.
local function front_objects(cache)
    local set, count = {}, 0
    for cpu = 0, #cache.fronts - 1 do
        local front = cache.fronts[cpu]
        for i = 0, front.count - 1 do
            set[front.objects[i]:value()] = true
            count = count + 1
        end
    end
    return set, count
end

local function slab_free_slots(slab)
    local free, slot, steps = {}, slab.free_head, 0
    while slot ~= NO_SLOT do
        free[slot] = true
        slot, steps = slab.next_free[slot], steps + 1
        if steps > NO_SLOT then error("the free list of a slab is not whole: a CPU is changing it", 3) end
    end
    return free
end

-- Objects of a cache that somebody uses, as places of a type, by address.
function state.objects(m, name, type)
    local cache, found = cache_named(m, name), {}
    local idle = front_objects(cache)
    for _, list in ipairs { cache.partial, cache.full } do
        for _, slab in ipairs(entries(m, list, "slab", "link")) do
            local free, first = slab_free_slots(slab), slab.slots:value() + cache.object_offset
            for slot = 0, cache.per_slab - 1 do
                local address = first + slot * cache.slot_size
                if not free[slot] and not idle[address] then found[#found + 1] = m.sym(type, address) end
            end
        end
    end
    table.sort(found, function(a, b) return math.ult(a:address(), b:address()) end)
    return found
end

-- Every slab cache, by name: bytes of an object, objects with users, objects in front caches, slabs, bytes of the slabs.
function state.slabs(m)
    local found = {}
    for _, cache in ipairs(caches(m)) do
        local _, cached = front_objects(cache)
        found[cache.name:string()] = {
            object_size = cache.object_size,
            live = cache.objects_in_slabs - cached,
            cached = cached,
            slabs = cache.slabs,
            bytes = cache.slabs * (PAGE_BYTES << cache.slab_order),
            place = cache,
        }
    end
    return found
end

-- ---- tasks ----

local STATES <const> = { "NEW", "READY", "RUNNING", "WAITING", "WAKING", "DEAD" }
local POLICIES <const> = { "FAIR", "FIFO", "RR", "IDLE", "DEADLINE" }

-- The lower-case end of the enumerator PREFIX.. that has a value.
local function enumerator(m, prefix, names, value)
    for _, name in ipairs(names) do
        if m.sym[prefix .. name] == value then return name:lower() end
    end
    return tostring(value)
end

local function task_of(m, thread)
    local process = thread.process
    local kernel = process:value() == 0
    local entity = thread.sched
    return {
        tid = thread.tid.number,
        pid = kernel and 0 or process.pid.number,
        name = not kernel and process.name:string() or thread.is_idle ~= 0 and "idle" or "kernel",
        state = enumerator(m, "THREAD_", STATES, thread.state),
        cpu = thread.cpu,
        policy = enumerator(m, "SCHED_", POLICIES, entity.params.policy),
        level = entity.params.level,
        nice = entity.params.nice,
        run_cycles = entity.run_cycles,
        switches = thread.switches,
        migrations = thread.migrations,
        kernel = kernel,
        place = thread,
    }
end

-- Every thread that has not ended, by tid: of programs, of the kernel, and the idle ones.
function state.tasks(m)
    local found, dead = {}, m.sym.THREAD_DEAD
    for _, thread in ipairs(state.objects(m, "thread", "thread")) do
        if thread.state ~= dead then found[#found + 1] = task_of(m, thread) end
    end
    table.sort(found, function(a, b) return a.tid < b.tid end)
    return found
end

-- The thread that a CPU runs, in user mode too, by its address: a name for it that the next one does not have. Works without
-- the adapter, for scenarios that want none. 0 while there are no threads.
function state.current_thread(m, cpu)
    return m.sym.cpu_table[cpu].current:value()
end

-- The same as one of tasks(); nil while the CPU is not started.
function state.current_task(m, cpu)
    local area = m.sym.cpu_table[cpu]
    if area:value() == 0 or area.current:value() == 0 then return nil end
    return task_of(m, area.current:deref())
end

-- ---- locks ----

local GLOBAL_LOCKS <const> = {
    "process_tree_lock", "io_apic_lock", "map_lock", "slot_lock", "reaper_lock", "collector_lock", "lines_lock",
}

local function lock_of(m, lock)
    local waiting = (lock.next - lock.serving & 0xffff) - 1
    return {
        name = lock.name:string(),
        holder = lock.holder ~= 0xffffffff and lock.holder or nil,
        held = waiting >= 0,
        waiting = math.max(waiting, 0),
        place = lock,
    }
end

-- The ticket locks of the kernel: global ones, those of the CPUs, zones, slab caches, endpoints and channels. held: by a CPU
-- (holder; nil while that CPU's store of its number is not yet to be seen), for which `waiting` others spin.
function state.locks(m)
    local found = {}
    local function add(lock) found[#found + 1] = lock_of(m, lock) end
    for _, name in ipairs(GLOBAL_LOCKS) do add(m.sym[name]) end
    for cpu = 0, #m.sym.cpu_table - 1 do
        local area = m.sym.cpu_table[cpu]
        if area:value() ~= 0 then add(area.queue.lock) end
    end
    local manager = m.sym.frame_manager
    for node = 0, manager.node_count - 1 do
        local zones = manager.nodes[node].zones
        for zone = 0, #zones - 1 do add(zones[zone].lock) end
    end
    for cpu = 0, manager.cpu_count - 1 do add(manager.cpus[cpu].lock) end
    for _, cache in ipairs(caches(m)) do add(cache.lock) end
    for _, endpoint in ipairs(state.objects(m, "endpoint", "endpoint_object")) do add(endpoint.endpoint.lock) end
    for _, channel in ipairs(state.objects(m, "channel", "channel")) do add(channel.lock) end
    return found
end

-- ---- messages ----

local function waiting_tids(m, list)
    local tids, offset = {}, m.sym("thread", 0):offsetof("ipc")
    for _, party in ipairs(entries(m, list, "ipc_party", "node")) do
        tids[#tids + 1] = m.sym("thread", party:address() - offset).tid.number
    end
    return tids
end

local function references(object) return object.object.references end

-- Endpoints (tids of who waits there), channels, notifications and shared regions that exist.
function state.ipc(m)
    local found = { endpoints = {}, channels = {}, notifications = {}, regions = {} }
    for i, object in ipairs(state.objects(m, "endpoint", "endpoint_object")) do
        local endpoint = object.endpoint
        found.endpoints[i] = {
            references = references(object),
            senders = waiting_tids(m, endpoint.senders),
            receivers = waiting_tids(m, endpoint.receivers),
            callers = waiting_tids(m, endpoint.callers),
            closed = endpoint.closed ~= 0,
            place = object,
        }
    end
    for i, channel in ipairs(state.objects(m, "channel", "channel")) do
        local lock_free = channel.lock_free ~= 0
        found.channels[i] = {
            references = references(channel),
            lock_free = lock_free,
            capacity = lock_free and channel.ring.cell_count or channel.fifo.capacity,
            messages = lock_free and channel.ring.tail - channel.ring.head or channel.fifo.put - channel.fifo.taken & 0xffffffff,
            producers = channel.producers,
            consumers = channel.consumers,
            place = channel,
        }
    end
    for i, notification in ipairs(state.objects(m, "notification", "notification")) do
        found.notifications[i] = { references = references(notification), place = notification }
    end
    for i, region in ipairs(state.objects(m, "region", "region_object")) do
        found.regions[i] = { references = references(region), place = region }
    end
    return found
end

-- ---- synchronisation that the machine cannot see ----

-- Functions that the compiler inlines and that are atomic or order memory: m:inlined(name) tells where they are.
state.atomic_helpers = {
    "spin_lock", "spin_unlock", "rcu_read_lock", "rcu_read_unlock", "ring_word_load", "ring_word_cas",
    "signal_word_set", "signal_word_take", "id_read", "id_write", "word_read", "word_write", "generation_read", "generation_write",
}

return state
