/* Example capsule `perft-c`: lines "<FEN>; <depth>" in, lines "<count>  <FEN>; <depth>" out.
 *
 * Perft counts the sequences of legal moves of a given length: the test that chess programs check their move
 * generator with. A line that is not a position ends the run with status 1. */
#include "chess.h"
#include "nonos.h"

#define INPUT_BYTES_MAX 65536
#define COUNT_DIGITS_MAX 20

static _Alignas(4) char input[INPUT_BYTES_MAX];
static _Alignas(4) char output[2 * INPUT_BYTES_MAX];
static size_t output_length;

/* GCC makes calls of these from loops and initialisers. */
void *memset(void *to, int value, size_t length) {
    unsigned char *bytes = to;
    while (length--) *bytes++ = value;
    return to;
}
void *memcpy(void *restrict to, const void *restrict from, size_t length) {
    unsigned char *bytes = to;
    const unsigned char *source = from;
    while (length--) *bytes++ = *source++;
    return to;
}

static void put(const char *text, size_t length) {
    if (length > sizeof output - output_length) nonos_halt(2);
    for (size_t i = 0; i < length; i++) output[output_length++] = text[i];
}

static void put_number(uint64_t number) {
    char digits[COUNT_DIGITS_MAX];
    size_t at = COUNT_DIGITS_MAX;
    do digits[--at] = '0' + number % 10;
    while (number /= 10);
    put(digits + at, COUNT_DIGITS_MAX - at);
}

static int fail(const char *message, size_t message_length, const char *line, const char *end) {
    nonos_log(message, message_length);
    nonos_log(line, end - line);
    nonos_log("\n", 1);
    return 1;
}

int main(void) {
    static const char NOT_A_LINE[] = "not a line of the form <FEN>; <depth 1 to 8>: ";
    static const char TOO_LONG[] = "the input is longer than 65536 bytes";
    size_t length = nonos_input_all(input, sizeof input);
    if (nonos_input(NULL, 0).left > 0) return fail(TOO_LONG, sizeof TOO_LONG - 1, input, input);

    for (const char *line = input, *all_end = input + length; line < all_end;) {
        const char *end = line;
        while (end < all_end && *end != '\n') end++;
        if (end > line && *line != '#') {
            position p;
            const char *rest = position_parse(&p, line, end);
            while (rest && rest < end && *rest != ';') rest++;
            if (!rest || end - rest != 3 || rest[1] != ' ' || rest[2] < '1' || rest[2] > '0' + DEPTH_MAX)
                return fail(NOT_A_LINE, sizeof NOT_A_LINE - 1, line, end);
            put_number(perft(&p, rest[2] - '0'));
            put("  ", 2);
            put(line, end - line);
            put("\n", 1);
        }
        line = end + 1;
    }
    nonos_output_all(output, output_length);
    return 0;
}
