// Functions that run before the constructors, code in .init and .fini, and constructors with priorities.
// builds: gcc -O2 | gcc -O0 -no-pie | gcc -O2 -static | gcc -O2 -static -s | musl-gcc -O2 -static
// hosted: yes
// scope: contains
// calls: getppid getpgrp gettid getegid geteuid exit_group
// run: some
#include "calls.h"

static void early(void) { sys0(NR_getppid); }
__attribute__((section(".preinit_array"))) void (*const KEEP(before))(void) = early;
void KEEP(in_init)(void) { sys0(NR_getpgrp); }
void KEEP(in_fini)(void) { sys0(NR_gettid); }
#ifdef __aarch64__
__asm__(".section .init\n  bl in_init\n.section .fini\n  bl in_fini\n.text\n");
#else
__asm__(".section .init\n  call in_init\n.section .fini\n  call in_fini\n.text\n");
#endif
__attribute__((constructor(101))) static void first(void) { sys0(NR_getegid); }
__attribute__((destructor(101))) static void last(void) { sys0(NR_geteuid); }

int main(void) { return 0; }
