# What `make validate-timing` measures: the task, one flat image, and its two hosts, a process of Linux and a bare guest.
# Included by the root Makefile.
FIDELITY     := tests/fidelity/
FIDELITY_OUT := $(BUILD)/fidelity
FIDELITY_CC  ?= gcc
FIDELITY_WARN := -std=c17 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
FIDELITY_BARE := $(FIDELITY_WARN) -O2 -march=x86-64 -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
    -fno-asynchronous-unwind-tables -fcf-protection=none -fno-strict-aliasing -fno-tree-loop-distribute-patterns \
    -mno-red-zone -I$(FIDELITY)
FIDELITY_TASK := $(patsubst $(FIDELITY)task/%,$(FIDELITY_OUT)/task/%.o,$(sort $(wildcard $(FIDELITY)task/*.[cS])))
FIDELITY_HEADERS := $(wildcard $(FIDELITY)*.h $(FIDELITY)task/*.h $(FIDELITY)task/*.inc $(FIDELITY)guest/*.h \
    $(FIDELITY)../guest/*.h $(FIDELITY)../guest/*.inc)
FIDELITY_LINK := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
    -Wl,--no-warn-rwx-segments

.PHONY: fidelity fidelity-corpus validate-timing
guests: fidelity fidelity-corpus
fidelity: $(FIDELITY_OUT)/task.img $(FIDELITY_OUT)/host $(FIDELITY_OUT)/guest.elf

$(FIDELITY_OUT)/task/%.c.o: $(FIDELITY)task/%.c $(FIDELITY_HEADERS)
	@mkdir -p $(@D)
	$(Q)$(FIDELITY_CC) $(FIDELITY_BARE) -c $< -o $@

$(FIDELITY_OUT)/task/%.S.o: $(FIDELITY)task/%.S $(FIDELITY_HEADERS)
	@mkdir -p $(@D)
	$(Q)$(FIDELITY_CC) -I$(FIDELITY) -I$(FIDELITY)task -DBLOCKS='"$(FIDELITY_OUT)/blocks.bin"' -c $< -o $@

$(FIDELITY_OUT)/task/blocks.S.o: $(FIDELITY_OUT)/blocks.bin
$(FIDELITY_OUT)/blocks.bin: $(FIDELITY)blocks.txt scripts/fidelity/blocks.py
	@mkdir -p $(@D)
	$(Q)scripts/fidelity/blocks.py $< $@

$(FIDELITY_OUT)/task.img: $(FIDELITY_TASK) $(FIDELITY)task/task.ld
	$(Q)$(FIDELITY_CC) $(FIDELITY_LINK) -T $(FIDELITY)task/task.ld $(FIDELITY_TASK) -o $(FIDELITY_OUT)/task.elf
	$(Q)objcopy -O binary $(FIDELITY_OUT)/task.elf $@

# What blocks.txt was cut from, beside the kernel, programs and simulator: scripts/fidelity/cut.py makes the list anew.
fidelity-corpus: all fidelity $(FIDELITY_OUT)/corpus-O2.o $(FIDELITY_OUT)/corpus-O3.o
$(FIDELITY_OUT)/corpus-%.o: $(FIDELITY)corpus.c $(FIDELITY)corpus.h
	@mkdir -p $(@D)
	$(Q)$(FIDELITY_CC) $(FIDELITY_BARE) -$* -c $< -o $@

$(FIDELITY_OUT)/host: $(FIDELITY)host.c $(FIDELITY_HEADERS)
	@mkdir -p $(@D)
	$(Q)$(FIDELITY_CC) $(FIDELITY_WARN) -O2 -I$(FIDELITY) $< -o $@

$(FIDELITY_OUT)/guest/start.o: $(FIDELITY)guest/start.S $(FIDELITY_HEADERS)
	@mkdir -p $(@D)
	$(Q)$(FIDELITY_CC) -I$(FIDELITY) -c $< -o $@

$(FIDELITY_OUT)/guest/guest.o: $(FIDELITY)guest/guest.c $(FIDELITY_HEADERS)
	@mkdir -p $(@D)
	$(Q)$(FIDELITY_CC) $(FIDELITY_BARE) -mgeneral-regs-only -g -c $< -o $@

$(FIDELITY_OUT)/guest.elf: $(FIDELITY_OUT)/guest/start.o $(FIDELITY_OUT)/guest/guest.o $(FIDELITY)guest/guest.ld
	$(Q)$(FIDELITY_CC) $(FIDELITY_LINK) -T $(FIDELITY)guest/guest.ld $(filter %.o,$^) -o $@

validate-timing: all fidelity
	scripts/validate-timing $(VALIDATE)
