/* WASI has no jumps out of C functions; who includes this makes none. */
