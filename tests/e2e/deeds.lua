-- For the scenarios beside it that lead a test of os/programs/ipctest: its parent process asks by getppid what to do, all the time,
-- and is answered in the place of the kernel (ipctest.h has the numbers).
local deeds = {}

local TELLS <const>, STOP <const>, TOLD <const> = 1000000, 1000001, 2000000

-- on_return: as m.on_return. In the result, told is what to do next, a number, and nil when it has been said; rounds counts what
-- was said and is done, for it asks again; stop ends the test. At the end of a round the machine stops.
function deeds.attend(m, on_return)
    local self, waiting = { rounds = 0, stop = false, told = nil }, false
    on_return(m, "invoke_getppid", function(cpu)
        m:set_register(cpu, "rax", self.stop and STOP or self.told and TOLD + self.told or TELLS)
        if self.told then
            self.told, waiting = nil, true
        elseif waiting then
            waiting, self.rounds = false, self.rounds + 1
            m:stop()
        end
    end)
    return self
end

-- The process that runs on a CPU, 0: none.
function deeds.running(m, cpu)
    local process = m.kernel.current_process(cpu)
    return process:value() ~= 0 and process.pid.number or 0
end

return deeds
