/* The blocks of tier 3: how many, and struct block of each, as scripts/fidelity/blocks.py made them of blocks.txt. */
    .section .blocks, "aw"
    .balign 8
    .globl task_blocks
task_blocks:
    .incbin BLOCKS

    .section .note.GNU-stack, "", @progbits
