-- Adapter of the kernel in os/: maps its symbols and types to what scenarios ask for.
-- Everything is read from the kernel's own structures through DWARF; nothing is asked of the kernel but what figures() says.
local state = require "kernels.orrery_state"

local function frames_view(m)
    local frames = {}

    -- Frames that nobody owns: in the zones' pools and in the CPUs' caches.
    function frames.free()
        local manager, sum = m.sym.frame_manager, 0
        for node = 0, manager.node_count - 1 do
            local zones = manager.nodes[node].zones
            for zone = 0, #zones - 1 do sum = sum + zones[zone].free_frames end
        end
        for cpu = 0, manager.cpu_count - 1 do sum = sum + manager.cpus[cpu].count + manager.cpus[cpu].zeroed_count end
        return sum
    end

    function frames.managed()
        local manager, sum = m.sym.frame_manager, 0
        for node = 0, manager.node_count - 1 do
            local zones = manager.nodes[node].zones
            for zone = 0, #zones - 1 do sum = sum + zones[zone].managed_frames end
        end
        return sum
    end

    -- Frames that serve nothing but DMA ever after.
    function frames.dma() return m.sym.frames_made end

    return setmetatable({}, { __index = function(_, key)
        local f = frames[key]
        if not f then error("kernel.frames has no field '" .. tostring(key) .. "'", 2) end
        return f()
    end })
end

-- The process that a CPU runs: a pointer to struct process, null for the kernel's own threads.
local function current_process(m, cpu)
    return m.sym.cpu_table[cpu].current.process
end

-- What a system at rest has, by name: free frames, CPUs, threads, objects of every slab cache, endpoints and their like. Asks
-- for a quiescence first, which takes up to a simulated second. Two that are equal: nothing was lost and nothing kept.
local function figures(m)
    m:ask("quiesce")
    local found = { frames = m.kernel.frames.free, cpus = m.sym.cpus_online, threads = #m.kernel.tasks() }
    for name, cache in pairs(m.kernel.slabs()) do found["objects of " .. name] = cache.live end
    for name, objects in pairs(m.kernel.ipc()) do found[name] = #objects end
    return found
end

-- Feeds m.counters.fork_to_exit with cycles from the entry of fork to the zombie, for every process.
local function measure_forks(m)
    local counter = m:counter("fork_to_exit")
    local entered, started = {}, {}
    local zombie = m.sym.PROCESS_ZOMBIE
    m:on_entry("process_fork", function(cpu, cycle)
        entered[current_process(m, cpu):value()] = cycle
    end)
    m:on_entry("process_link_locked", function(cpu)
        local child, parent = m:register(cpu, "rdi"), m:register(cpu, "rsi")
        started[child] = entered[parent]
    end)
    m:on_entry("process_set_state", function(cpu, cycle)
        local process = m:register(cpu, "rdi")
        if m:register(cpu, "rsi") & 0xffffffff == zombie and started[process] then
            counter:add(cycle - started[process])
            started[process] = nil
        end
    end)
end

return {
    kernel = "build/os/orrery.elf",
    initrd = "build/os/initrd.cpio",
    panic = "panic",
    observe = measure_forks,
    view = function(m)
        return {
            ready_text = "init: ready",
            harmless_vector = m.sym.VECTOR_RESCHEDULE, -- only asks a CPU to look at its run queue
            frames = frames_view(m),
            current_process = function(cpu) return current_process(m, cpu) end,
            current_thread = function(cpu) return state.current_thread(m, cpu) end,
            tasks = function() return state.tasks(m) end,
            current_task = function(cpu) return state.current_task(m, cpu) end,
            slabs = function() return state.slabs(m) end,
            objects = function(cache, type) return state.objects(m, cache, type) end,
            locks = function() return state.locks(m) end,
            ipc = function() return state.ipc(m) end,
            figures = function() return figures(m) end,
            atomic_helpers = state.atomic_helpers,
        }
    end,
}
