/* The syscalls of the NONOS machine for C programs: docs/spec/31-syscalls.md.
 *
 * Pointers that the machine reads or writes are aligned to 4 bytes, and buffers that it writes have room for their
 * length rounded up to 4. One call moves at most 65,536 bytes: the nonos_*_all functions ask again. A call that
 * breaks a rule, or that the manifest does not grant, traps, which ends the run. */
#ifndef NONOS_H
#define NONOS_H

#include <stddef.h>
#include <stdint.h>

/* Number of each syscall. */
#define NONOS_INPUT 1
#define NONOS_OUTPUT 2
#define NONOS_LOG 3
#define NONOS_CHECKPOINT 4
#define NONOS_CONTENT 5
#define NONOS_RANDOM 6
#define NONOS_NOW 7
#define NONOS_SHA256 16
#define NONOS_KECCAK 17
#define NONOS_POSEIDON2 18
#define NONOS_HALT 93

/* First byte of the heap is &_end, the byte behind its last is nonos_memory_end (crt0.S). */
extern unsigned char _end[];
extern uintptr_t nonos_memory_end;

/* What `input` and `content` answer. */
typedef struct {
    size_t copied;
    size_t left;
} nonos_copied;

static inline nonos_copied nonos_ecall5(uintptr_t number, uintptr_t arg0, uintptr_t arg1, uintptr_t arg2,
                                        uintptr_t arg3, uintptr_t arg4) {
    register uintptr_t a0 __asm__("a0") = arg0;
    register uintptr_t a1 __asm__("a1") = arg1;
    register uintptr_t a2 __asm__("a2") = arg2;
    register uintptr_t a3 __asm__("a3") = arg3;
    register uintptr_t a4 __asm__("a4") = arg4;
    register uintptr_t a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory");
    nonos_copied result = {a0, a1};
    return result;
}

/* Ends the run. 0 is success by convention. */
static inline _Noreturn void nonos_halt(uint32_t status) {
    nonos_ecall5(NONOS_HALT, status, 0, 0, 0, 0);
    __builtin_unreachable();
}

/* The next bytes of the input. nonos_input(NULL, 0).left is how many there are. */
static inline nonos_copied nonos_input(void *buffer, size_t length) {
    return nonos_ecall5(NONOS_INPUT, (uintptr_t)buffer, length, 0, 0, 0);
}

/* Appends to the output; returns how many bytes were accepted. Only the last call of a run may append a number of
 * bytes that is not a multiple of 4. */
static inline size_t nonos_output(const void *bytes, size_t length) {
    return nonos_ecall5(NONOS_OUTPUT, (uintptr_t)bytes, length, 0, 0, 0).copied;
}

/* Shows text to whoever runs the capsule; any alignment. */
static inline size_t nonos_log(const char *text, size_t length) {
    return nonos_ecall5(NONOS_LOG, (uintptr_t)text, length, 0, 0, 0).copied;
}

/* Ends the current segment after this instruction. */
static inline void nonos_checkpoint(void) { nonos_ecall5(NONOS_CHECKPOINT, 0, 0, 0, 0, 0); }

/* Bytes of the content with this BLAKE3 hash (32 aligned bytes), from an offset on. */
static inline nonos_copied nonos_content(const uint8_t *hash, uint64_t offset, void *buffer, size_t length) {
    return nonos_ecall5(NONOS_CONTENT, (uintptr_t)hash, (uint32_t)offset, (uint32_t)(offset >> 32),
                        (uintptr_t)buffer, length);
}

/* Bytes expanded from the ticket's seed; returns how many were written. */
static inline size_t nonos_random(void *buffer, size_t length) {
    return nonos_ecall5(NONOS_RANDOM, (uintptr_t)buffer, length, 0, 0, 0).copied;
}

/* The ticket's time in seconds since 1970-01-01 UTC. */
static inline uint64_t nonos_now(void) {
    nonos_copied words = nonos_ecall5(NONOS_NOW, 0, 0, 0, 0, 0);
    return (uint64_t)words.left << 32 | words.copied;
}

/* One compression of SHA-256: the state in native words, the block as it stands in the message. */
static inline void nonos_sha256(uint32_t state[8], const void *block) {
    nonos_ecall5(NONOS_SHA256, (uintptr_t)state, (uintptr_t)block, 0, 0, 0);
}

/* Keccak-f[1600]. */
static inline void nonos_keccak(uint64_t state[25]) { nonos_ecall5(NONOS_KECCAK, (uintptr_t)state, 0, 0, 0, 0); }

/* Poseidon2 of width 16 over KoalaBear; each word is below 2130706433. */
static inline void nonos_poseidon2(uint32_t state[16]) {
    nonos_ecall5(NONOS_POSEIDON2, (uintptr_t)state, 0, 0, 0, 0);
}

/* Reads the rest of the input, at most `room` bytes of it, `room` a multiple of 4. Returns how many were read. */
static inline size_t nonos_input_all(void *buffer, size_t room) {
    size_t filled = 0;
    while (filled < room) {
        nonos_copied piece = nonos_input((unsigned char *)buffer + filled, room - filled);
        filled += piece.copied;
        if (piece.left == 0) break;
    }
    return filled;
}

/* Appends all these bytes to the output. */
static inline void nonos_output_all(const void *bytes, size_t length) {
    const unsigned char *next = (const unsigned char *)bytes;
    while (length > 0) {
        size_t accepted = nonos_output(next, length);
        next += accepted;
        length -= accepted;
    }
}

#endif
