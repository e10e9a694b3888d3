/* Chess: a position from FEN, and the number of move sequences from it. No I/O, no heap. */
#ifndef CHESS_H
#define CHESS_H

#include <stddef.h>
#include <stdint.h>

/* Deepest count that is offered: the stack holds one move list for each level. */
#define DEPTH_MAX 8

typedef struct {
    uint8_t squares[128]; /* 0x88: square = 16 * rank + file; 0 is empty, else kind | colour */
    uint8_t kings[2];     /* by colour */
    uint8_t side;         /* who moves: 0 white, 1 black */
    uint8_t castling;     /* bits: 1 white short, 2 white long, 4 black short, 8 black long */
    uint8_t en_passant;   /* the square behind a pawn that just moved two, or 0xff */
} position;

/* Reads the first four fields of a FEN. Returns the character behind them, or NULL if they do not describe a position
 * with one king on each side. */
const char *position_parse(position *p, const char *text, const char *end);

/* How many sequences of `depth` legal moves there are. */
uint64_t perft(position *p, unsigned depth);

#endif
