#ifndef ORRERY_CORE_PC_MAP_H
#define ORRERY_CORE_PC_MAP_H

/* What every PC fixes: I/O ports, the interrupts of ISA devices, the addresses of the APICs. Devices decode these, boards
 * are wired by them (machine/layout.h adds what a board chooses), firmware tables name them. */

#include <stdint.h>

#define PIC_MASTER_PORT         0x20u /* 0x20, 0x21 */
#define PIT_PORT                0x40u /* 0x40..0x43 */
#define I8042_DATA_PORT         0x60u
#define PIT_CONTROL_PORT        0x61u
#define I8042_COMMAND_PORT      0x64u
#define RTC_PORT                0x70u /* 0x70, 0x71 */
#define LEGACY_PAGE_PORT        0x80u /* 0x80..0x8f: 0x80 is the POST code */
#define I8042_PORT_A            0x92u
#define PIC_SLAVE_PORT          0xa0u /* 0xa0, 0xa1 */
#define DEBUG_CONSOLE_PORT      0xe9u
#define DEBUG_EXIT_PORT         0xf4u
#define COM2_PORT               0x2f8u
#define COM1_PORT               0x3f8u
#define PIC_ELCR_PORT           0x4d0u /* 0x4d0, 0x4d1 */
#define PCI_CONFIG_ADDRESS_PORT 0xcf8u /* this port alone: the next one is */
#define RESET_PORT              0xcf9u
#define PCI_CONFIG_DATA_PORT    0xcfcu /* 0xcfc..0xcff */

#define ISA_INTERRUPTS 16u
#define IRQ_PIT        0u
#define IRQ_KEYBOARD   1u
#define IRQ_CASCADE    2u
#define IRQ_COM2       3u
#define IRQ_COM1       4u
#define IRQ_RTC        8u
#define IRQ_SCI        9u
#define IRQ_MOUSE      12u

#define IOAPIC_BASE UINT64_C(0xfec00000)
#define LAPIC_BASE  UINT64_C(0xfee00000) /* after reset */

#endif
