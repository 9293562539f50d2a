/* The standard dimensions.json, as it stands. */
    .section .rodata
    .globl catalog_start, catalog_end
catalog_start:
    .incbin "dimension/dimensions.json"
catalog_end:
    .section .note.GNU-stack, "", @progbits
