/* Start of a C capsule: stack, constructors, main, halt with main's result.
 * At the start sp is the end of the memory window, pc is here and all other registers are zero. */

    .section .text._start, "ax", @progbits
    .globl _start
_start:
    .option push
    .option norelax
    la   gp, __global_pointer$
    .option pop
    la   t0, nonos_memory_end
    sw   sp, 0(t0)
    la   sp, _stack_top

    /* C++ and __attribute__((constructor)). */
    la   s0, __init_array_start
    la   s1, __init_array_end
1:  bgeu s0, s1, 2f
    lw   t0, 0(s0)
    jalr t0
    addi s0, s0, 4
    j    1b

2:  call main
    li   a7, 93             /* halt */
    ecall

    /* The heap, if a program wants one, is [_end, nonos_memory_end). */
    .section .sbss, "aw", @nobits
    .balign 4
    .globl nonos_memory_end
nonos_memory_end:
    .space 4
