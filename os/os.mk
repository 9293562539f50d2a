# The kernel, its user programs and the boot image. Included by the root Makefile, works alone as well.
BUILD  ?= build
OS_CC  ?= gcc
OS_OUT := $(BUILD)/os
OS_ROOT := $(dir $(lastword $(MAKEFILE_LIST)))

OS_WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum \
    -Wunused -Wvla -Werror
OS_COMMON := -std=c17 -O2 -g -gdwarf-4 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-omit-frame-pointer \
    -fno-asynchronous-unwind-tables -fcf-protection=none -ffile-prefix-map=$(OS_ROOT)=os/ "-ffile-prefix-map=$(CURDIR)=."
OS_KERNEL_FLAGS := $(OS_COMMON) $(OS_WARNINGS) -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-strict-aliasing \
    -I$(OS_ROOT) -I$(OS_ROOT)kernel
# The registers in which the words of a message stay (arch/x86_64/message.h), if the compiler can leave them alone; with the few
# that are left, small code is the fastest.
OS_MESSAGE_FLAGS := $(addprefix -ffixed-,r8 r9 r10 r11 r12 r13 r14 r15)
OS_MESSAGE_FLAGS := $(if $(shell $(OS_CC) $(OS_MESSAGE_FLAGS) -E -x c /dev/null 2>&1 >/dev/null),,$(OS_MESSAGE_FLAGS) -fomit-frame-pointer -Os)
OS_USER_FLAGS := $(OS_COMMON) $(OS_WARNINGS) -I$(OS_ROOT)
OS_LINK := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
    -Wl,--no-warn-rwx-segments

# Every folder below boot/ and kernel/ is the kernel's, but for test/, which only the test image has.
OS_KERNEL_SOURCES := $(sort $(filter-out $(OS_ROOT)kernel/test/% %.ld.S,$(foreach d,boot kernel,$(foreach s,c S,\
    $(wildcard $(addprefix $(OS_ROOT)$(d)/,*.$(s) */*.$(s) */*/*.$(s) */*/*/*.$(s)))))))
OS_TEST_SOURCES := $(sort $(wildcard $(OS_ROOT)kernel/test/*.c))
OS_OBJECT = $(patsubst $(OS_ROOT)%,$(OS_OUT)/obj/%.o,$(1))
OS_KERNEL_OBJECTS := $(call OS_OBJECT,$(OS_KERNEL_SOURCES))
OS_TEST_OBJECTS := $(call OS_OBJECT,$(OS_TEST_SOURCES))

# Each folder below programs/ is a program of that name.
OS_PROGRAMS := $(notdir $(patsubst %/,%,$(sort $(dir $(wildcard $(OS_ROOT)programs/*/*.c)))))
# Text files of the boot image
OS_TEXTS := $(OS_ROOT)initrd/dim03.txt $(OS_ROOT)initrd/dim07.txt $(OS_ROOT)initrd/motd
# The transport of virtio, of drivers that need it
OS_VIRTIO_PROGRAMS := virtblk
OS_VIRTIO_SOURCES := $(addprefix $(OS_ROOT)lib/,virtio.c virtio_window.c virtqueue.c)
OS_VIRTIO_OBJECTS := $(patsubst $(OS_ROOT)%,$(OS_OUT)/user/%.o,$(OS_VIRTIO_SOURCES))
OS_LIB_SOURCES := $(filter-out $(OS_VIRTIO_SOURCES),$(sort $(wildcard $(OS_ROOT)lib/*.c $(OS_ROOT)lib/*.S))) $(OS_ROOT)kernel/lib/format.c \
    $(OS_ROOT)kernel/lib/status.c $(OS_ROOT)kernel/lib/builtins/string.c
# The dimension store, of programs that need it
OS_DIMENSION_PROGRAMS := dimbench dimquery dimstore dimtest
OS_DIMENSION_SOURCES := $(sort $(wildcard $(OS_ROOT)dimension/*.c $(OS_ROOT)dimension/system/*.[cS]) $(OS_ROOT)kernel/lib/cpio.c)
OS_DIMENSION_OBJECTS := $(patsubst $(OS_ROOT)%,$(OS_OUT)/user/%.o,$(OS_DIMENSION_SOURCES))
OS_LIB_OBJECTS := $(patsubst $(OS_ROOT)%,$(OS_OUT)/user/%.o,$(OS_LIB_SOURCES))

OS_UEFI_CC ?= clang
OS_UEFI_LD ?= lld-link
OS_UEFI_FLAGS := --target=x86_64-unknown-windows -std=c17 -O2 -ffreestanding -fno-stack-protector -mno-red-zone \
    -mno-stack-arg-probe -mgeneral-regs-only -fno-strict-aliasing -fno-asynchronous-unwind-tables \
    -ffile-prefix-map=$(OS_ROOT)=os/ -ffile-prefix-map=$(CURDIR)=. $(OS_WARNINGS) -I$(OS_ROOT) -I$(OS_ROOT)kernel
# What the loader shares with the kernel is compiled a second time, for its own calling convention.
OS_UEFI_SOURCES := $(sort $(wildcard $(OS_ROOT)uefi/*.c)) $(OS_ROOT)boot/block.c $(OS_ROOT)kernel/arch/x86_64/acpi.c \
    $(OS_ROOT)kernel/lib/format.c $(OS_ROOT)kernel/lib/status.c $(OS_ROOT)kernel/lib/builtins/string.c
OS_UEFI_OBJECTS := $(patsubst $(OS_ROOT)%,$(OS_OUT)/uefi/%.o,$(OS_UEFI_SOURCES))

.PHONY: os
os: $(OS_OUT)/orrery.elf $(OS_OUT)/orrery-test.elf $(OS_OUT)/initrd.cpio $(OS_OUT)/BOOTX64.EFI

$(OS_OUT)/obj/kernel/ipc/fast.c.o: OS_KERNEL_FLAGS += $(OS_MESSAGE_FLAGS)
$(OS_OUT)/obj/kernel/arch/x86_64/entry.S.o: OS_KERNEL_FLAGS += $(if $(OS_MESSAGE_FLAGS),-DMESSAGE_REGISTERS)

$(OS_OUT)/obj/%.c.o: $(OS_ROOT)%.c $(OS_ROOT)os.mk
	@mkdir -p $(dir $@)
	$(call say,CC    $<)
	$(Q)$(OS_CC) $(OS_KERNEL_FLAGS) -MMD -MP -c $< -o $@

$(OS_OUT)/obj/%.S.o: $(OS_ROOT)%.S $(OS_ROOT)os.mk
	@mkdir -p $(dir $@)
	$(call say,CC    $<)
	$(Q)$(OS_CC) $(OS_KERNEL_FLAGS) -MMD -MP -c $< -o $@

$(OS_OUT)/kernel.ld: $(OS_ROOT)kernel/kernel.ld.S $(OS_ROOT)kernel/arch/x86_64/layout.h
	@mkdir -p $(dir $@)
	$(Q)$(OS_CC) -E -P -x c -I$(OS_ROOT) -I$(OS_ROOT)kernel $< -o $@

# Linked twice: the second time with the symbols of the first. Text is first in memory, so its addresses stay.
define OS_LINK_KERNEL
$(OS_OUT)/$(1).elf: $(2) $(OS_OUT)/kernel.ld $(OS_ROOT)tools/symbols.awk
	$(Q)awk -f $(OS_ROOT)tools/symbols.awk /dev/null > $(OS_OUT)/$(1).symbols0.S
	$(Q)$(OS_CC) -c $(OS_OUT)/$(1).symbols0.S -o $(OS_OUT)/$(1).symbols0.o
	$(Q)$(OS_CC) $(OS_LINK) -Wl,-T,$(OS_OUT)/kernel.ld $(2) $(OS_OUT)/$(1).symbols0.o -o $(OS_OUT)/$(1).first.elf
	$(Q)nm -n $(OS_OUT)/$(1).first.elf | awk -f $(OS_ROOT)tools/symbols.awk > $(OS_OUT)/$(1).symbols.S
	$(Q)$(OS_CC) -c $(OS_OUT)/$(1).symbols.S -o $(OS_OUT)/$(1).symbols.o
	$(Q)$(OS_CC) $(OS_LINK) -Wl,-T,$(OS_OUT)/kernel.ld $(2) $(OS_OUT)/$(1).symbols.o -o $$@.tmp
	$(Q)mv $$@.tmp $$@
endef
$(eval $(call OS_LINK_KERNEL,orrery,$(OS_KERNEL_OBJECTS)))
$(eval $(call OS_LINK_KERNEL,orrery-test,$(OS_KERNEL_OBJECTS) $(OS_TEST_OBJECTS)))

$(OS_OUT)/user/%.c.o: $(OS_ROOT)%.c $(OS_ROOT)os.mk
	@mkdir -p $(dir $@)
	$(call say,CC    $<)
	$(Q)$(OS_CC) $(OS_USER_FLAGS) $(if $(findstring /kernel/,/$*)$(filter dimension/%,$*),-I$(OS_ROOT)kernel) -MMD -MP -c $< -o $@

$(OS_OUT)/user/%.S.o: $(OS_ROOT)%.S $(OS_ROOT)os.mk
	@mkdir -p $(dir $@)
	$(call say,CC    $<)
	$(Q)$(OS_CC) $(OS_USER_FLAGS) -MMD -MP -c $< -o $@

define OS_LINK_PROGRAM
OS_$(1)_OBJECTS := $(patsubst $(OS_ROOT)%,$(OS_OUT)/user/%.o,$(sort $(wildcard $(OS_ROOT)programs/$(1)/*.[cS]))) \
    $(if $(filter $(1),$(OS_DIMENSION_PROGRAMS)),$(OS_DIMENSION_OBJECTS)) \
    $(if $(filter $(1),$(OS_VIRTIO_PROGRAMS)),$(OS_VIRTIO_OBJECTS))
$(OS_OUT)/programs/$(1): $$(OS_$(1)_OBJECTS) $(OS_LIB_OBJECTS) $(OS_ROOT)lib/program.ld
	@mkdir -p $$(dir $$@)
	$(Q)$(OS_CC) $(OS_LINK) -Wl,-T,$(OS_ROOT)lib/program.ld $$(OS_$(1)_OBJECTS) $(OS_LIB_OBJECTS) -o $$@
	$(Q)strip -s $$@ -o $$@.stripped
endef
$(foreach p,$(OS_PROGRAMS),$(eval $(call OS_LINK_PROGRAM,$(p))))

$(OS_OUT)/user/dimension/system/catalog.S.o: $(OS_ROOT)dimension/dimensions.json

# newc archive without dates, owners or paths: the same bytes on every build.
$(OS_OUT)/initrd.cpio: $(addprefix $(OS_OUT)/programs/,$(OS_PROGRAMS)) $(OS_TEXTS) $(OS_ROOT)tools/mkcpio.sh
	$(Q)sh $(OS_ROOT)tools/mkcpio.sh $(OS_OUT)/programs $(sort $(OS_PROGRAMS)) -- $(OS_TEXTS) > $@.tmp
	$(Q)mv $@.tmp $@

# The UEFI loader: a PE image without a time stamp, so that it is the same bytes on every build.
$(OS_OUT)/uefi/%.c.o: $(OS_ROOT)%.c $(OS_ROOT)os.mk
	@mkdir -p $(dir $@)
	$(call say,CC    $<)
	$(Q)$(OS_UEFI_CC) $(OS_UEFI_FLAGS) -MMD -MP -c $< -o $@

$(OS_OUT)/BOOTX64.EFI: $(OS_UEFI_OBJECTS)
	$(Q)$(OS_UEFI_LD) -subsystem:efi_application -entry:efi_main -nodefaultlib -timestamp:0 -out:$@.tmp $^
	$(Q)mv $@.tmp $@

-include $(OS_KERNEL_OBJECTS:.o=.d) $(OS_TEST_OBJECTS:.o=.d) $(OS_LIB_OBJECTS:.o=.d) $(OS_UEFI_OBJECTS:.o=.d) \
    $(foreach p,$(OS_PROGRAMS),$(OS_$(p)_OBJECTS:.o=.d))

# Pages made from tables of the source. `os-docs-check` fails when one is out of date.
.PHONY: os-docs os-docs-check
os-docs:
	$(Q)sh $(OS_ROOT)tools/syscalls-md.sh $(OS_ROOT) $(OS_CC) > $(OS_ROOT)../docs/syscalls.md
	$(Q)sh $(OS_ROOT)tools/locking-md.sh $(OS_ROOT) $(OS_CC) > $(OS_ROOT)../docs/locking.md

os-docs-check:
	@mkdir -p $(OS_OUT)
	$(Q)sh $(OS_ROOT)tools/syscalls-md.sh $(OS_ROOT) $(OS_CC) | cmp - $(OS_ROOT)../docs/syscalls.md
	$(Q)sh $(OS_ROOT)tools/locking-md.sh $(OS_ROOT) $(OS_CC) | cmp - $(OS_ROOT)../docs/locking.md
