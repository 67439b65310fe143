// A program without a C library: its entry, and system calls as inline assembly, so that the
// exact set of its system calls is what its source says.
#pragma once

#include "calls.h"

#ifndef LIBRARY
// Called on the stack that the kernel gave: arguments start at `stack`.
EXTERN_C __attribute__((used)) void run(long *stack);

#ifdef __x86_64__
__asm__(
    ".text\n"
    ".globl _start\n"
    ".type _start, @function\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call run\n"
    "  ud2\n"
    ".size _start, . - _start\n");
#elif defined __aarch64__
__asm__(
    ".text\n"
    ".globl _start\n"
    ".type _start, %function\n"
    "_start:\n"
    "  hint #34\n"  // bti c: a loader comes here by a branch to an address
    "  mov x29, xzr\n"
    "  mov x30, xzr\n"
    "  mov x0, sp\n"
    "  and sp, x0, #-16\n"
    "  bl run\n"
    "  udf #0\n"
    ".size _start, . - _start\n");
#endif
#endif
