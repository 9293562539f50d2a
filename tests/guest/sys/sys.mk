# The bare-metal programs of this folder: $(BUILD)/guest/sys/NAME.elf, 32-bit ELF images for a Multiboot 1 loader.
# They are assembled as 64-bit objects, since they hold code of every width, and then relabelled.
GUEST_SYS := long debug legacy
GUEST_SYS_ELF := $(GUEST_SYS:%=$(BUILD)/guest/sys/%.elf)

$(GUEST_SYS_ELF): $(BUILD)/guest/sys/%.elf: tests/guest/sys/%.S tests/guest/sys/long.inc tests/guest/sys/report.inc \
                  tests/guest/sys/sys.ld
	@mkdir -p $(@D)
	$(CC) -m64 -nostdlib -static -Wa,-Itests/guest/sys -Wl,-T,tests/guest/sys/sys.ld -Wl,--build-id=none -Wl,-n \
	    -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -o $@64 $<
	objcopy -O elf32-i386 $@64 $@

.PHONY: guest-sys
guest-sys: $(GUEST_SYS_ELF)
