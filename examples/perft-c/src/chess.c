/* Move generation on an 0x88 board: pseudo-legal moves, made and taken back; a move that leaves the own king in check
 * is not counted. */
#include "chess.h"

enum { PAWN = 1, KNIGHT, BISHOP, ROOK, QUEEN, KING, KIND = 7, BLACK = 8 };
enum { QUIET, DOUBLE_STEP, EN_PASSANT, CASTLE };

#define NO_SQUARE 0xff
#define MOVES_MAX 256 /* no position has more than 218 moves */
#define COLOUR_OF(piece) ((piece) >> 3)

typedef struct {
    uint8_t from, to, promotion, flag;
} move;

typedef struct {
    uint8_t captured, castling, en_passant;
} undo;

static const int8_t KNIGHT_STEPS[8] = {-33, -31, -18, -14, 14, 18, 31, 33};
static const int8_t ROYAL_STEPS[8] = {-17, -15, 15, 17, -16, -1, 1, 16}; /* diagonals first, then straight */

/* Castling rights that end when a piece leaves or reaches this square. */
static uint8_t rights_of(unsigned square) {
    switch (square) {
    case 0x00: return 2;
    case 0x04: return 3;
    case 0x07: return 1;
    case 0x70: return 8;
    case 0x74: return 12;
    case 0x77: return 4;
    default: return 0;
    }
}

static int attacked(const position *p, unsigned square, unsigned by) {
    unsigned colour = by << 3;
    int pawn_from = by ? 16 : -16; /* a white pawn attacks from the rank below */
    for (int side = -1; side <= 1; side += 2) {
        unsigned from = square + pawn_from + side;
        if (!(from & 0x88) && p->squares[from] == (PAWN | colour)) return 1;
    }
    for (int i = 0; i < 8; i++) {
        unsigned from = square + KNIGHT_STEPS[i];
        if (!(from & 0x88) && p->squares[from] == (KNIGHT | colour)) return 1;
    }
    for (int i = 0; i < 8; i++) {
        unsigned slider = (i < 4 ? BISHOP : ROOK) | colour;
        unsigned from = square + ROYAL_STEPS[i];
        for (int distance = 1; !(from & 0x88); distance++, from += ROYAL_STEPS[i]) {
            unsigned piece = p->squares[from];
            if (!piece) continue;
            if (piece == slider || piece == (QUEEN | colour)) return 1;
            if (distance == 1 && piece == (KING | colour)) return 1;
            break;
        }
    }
    return 0;
}

static move *add_pawn_move(move *next, unsigned from, unsigned to, unsigned flag) {
    if ((to >> 4) == 0 || (to >> 4) == 7) {
        for (unsigned kind = KNIGHT; kind <= QUEEN; kind++) *next++ = (move){from, to, kind, flag};
    } else {
        *next++ = (move){from, to, 0, flag};
    }
    return next;
}

static move *add_pawn_moves(const position *p, move *next, unsigned from) {
    int forward = p->side ? -16 : 16;
    unsigned start_rank = p->side ? 6 : 1;
    unsigned to = from + forward;
    if (!(to & 0x88) && !p->squares[to]) {
        next = add_pawn_move(next, from, to, QUIET);
        if ((from >> 4) == start_rank && !p->squares[to + forward])
            *next++ = (move){from, to + forward, 0, DOUBLE_STEP};
    }
    for (int side = -1; side <= 1; side += 2) {
        to = from + forward + side;
        if (to & 0x88) continue;
        unsigned target = p->squares[to];
        if (target && COLOUR_OF(target) != p->side)
            next = add_pawn_move(next, from, to, QUIET);
        else if (to == p->en_passant)
            *next++ = (move){from, to, 0, EN_PASSANT};
    }
    return next;
}

static move *add_steps(const position *p, move *next, unsigned from, const int8_t *steps, int count, int slides) {
    for (int i = 0; i < count; i++) {
        for (unsigned to = from + steps[i]; !(to & 0x88); to += steps[i]) {
            unsigned target = p->squares[to];
            if (!target || COLOUR_OF(target) != p->side) *next++ = (move){from, to, 0, QUIET};
            if (target || !slides) break;
        }
    }
    return next;
}

static move *add_castling(const position *p, move *next, unsigned king) {
    unsigned rights = p->side ? p->castling >> 2 : p->castling;
    unsigned enemy = !p->side;
    if (!(rights & 3) || attacked(p, king, enemy)) return next;
    if ((rights & 1) && !p->squares[king + 1] && !p->squares[king + 2] && !attacked(p, king + 1, enemy))
        *next++ = (move){king, king + 2, 0, CASTLE};
    if ((rights & 2) && !p->squares[king - 1] && !p->squares[king - 2] && !p->squares[king - 3] &&
        !attacked(p, king - 1, enemy))
        *next++ = (move){king, king - 2, 0, CASTLE};
    return next;
}

static move *add_moves(const position *p, move *next) {
    for (unsigned from = 0; from < 128; from++) {
        if (from & 0x88) {
            from += 7;
            continue;
        }
        unsigned piece = p->squares[from];
        if (!piece || COLOUR_OF(piece) != p->side) continue;
        switch (piece & KIND) {
        case PAWN: next = add_pawn_moves(p, next, from); break;
        case KNIGHT: next = add_steps(p, next, from, KNIGHT_STEPS, 8, 0); break;
        case BISHOP: next = add_steps(p, next, from, ROYAL_STEPS, 4, 1); break;
        case ROOK: next = add_steps(p, next, from, ROYAL_STEPS + 4, 4, 1); break;
        case QUEEN: next = add_steps(p, next, from, ROYAL_STEPS, 8, 1); break;
        case KING:
            next = add_steps(p, next, from, ROYAL_STEPS, 8, 0);
            next = add_castling(p, next, from);
            break;
        }
    }
    return next;
}

static undo make(position *p, move m) {
    unsigned piece = p->squares[m.from];
    undo before = {p->squares[m.to], p->castling, p->en_passant};
    p->squares[m.to] = m.promotion ? (piece & BLACK) | m.promotion : piece;
    p->squares[m.from] = 0;
    p->castling &= ~(rights_of(m.from) | rights_of(m.to));
    p->en_passant = NO_SQUARE;
    if ((piece & KIND) == KING) p->kings[p->side] = m.to;
    switch (m.flag) {
    case DOUBLE_STEP: p->en_passant = (m.from + m.to) / 2; break;
    case EN_PASSANT: p->squares[m.to + (p->side ? 16 : -16)] = 0; break;
    case CASTLE:
        p->squares[(m.from + m.to) / 2] = ROOK | (piece & BLACK);
        p->squares[m.to > m.from ? m.from + 3 : m.from - 4] = 0;
        break;
    }
    p->side ^= 1;
    return before;
}

static void take_back(position *p, move m, undo before) {
    p->side ^= 1;
    unsigned piece = p->squares[m.to];
    if (m.promotion) piece = (piece & BLACK) | PAWN;
    p->squares[m.from] = piece;
    p->squares[m.to] = before.captured;
    p->castling = before.castling;
    p->en_passant = before.en_passant;
    if ((piece & KIND) == KING) p->kings[p->side] = m.from;
    switch (m.flag) {
    case EN_PASSANT: p->squares[m.to + (p->side ? 16 : -16)] = PAWN | (p->side ? 0 : BLACK); break;
    case CASTLE:
        p->squares[(m.from + m.to) / 2] = 0;
        p->squares[m.to > m.from ? m.from + 3 : m.from - 4] = ROOK | (piece & BLACK);
        break;
    }
}

uint64_t perft(position *p, unsigned depth) {
    if (depth == 0) return 1;
    move moves[MOVES_MAX];
    move *end = add_moves(p, moves);
    uint64_t count = 0;
    for (move *m = moves; m < end; m++) {
        undo before = make(p, *m);
        if (!attacked(p, p->kings[!p->side], p->side)) count += depth == 1 ? 1 : perft(p, depth - 1);
        take_back(p, *m, before);
    }
    return count;
}

static unsigned piece_of(char letter) {
    static const char LETTERS[] = "PNBRQKpnbrqk";
    for (unsigned i = 0; i < 12; i++)
        if (LETTERS[i] == letter) return i < 6 ? PAWN + i : BLACK | (PAWN + i - 6);
    return 0;
}

const char *position_parse(position *p, const char *text, const char *end) {
    unsigned kings[2] = {0, 0};
    for (unsigned i = 0; i < 128; i++) p->squares[i] = 0;

    unsigned rank = 7, file = 0;
    for (; text < end && *text != ' '; text++) {
        unsigned piece = piece_of(*text);
        if (*text == '/') {
            if (file != 8 || rank == 0) return NULL;
            rank--;
            file = 0;
        } else if (*text >= '1' && *text <= '8') {
            file += *text - '0';
            if (file > 8) return NULL;
        } else if (piece && file < 8) {
            if ((piece & KIND) == PAWN && (rank == 0 || rank == 7)) return NULL;
            unsigned square = 16 * rank + file++;
            p->squares[square] = piece;
            if ((piece & KIND) == KING) {
                p->kings[COLOUR_OF(piece)] = square;
                kings[COLOUR_OF(piece)]++;
            }
        } else {
            return NULL;
        }
    }
    if (rank != 0 || file != 8 || kings[0] != 1 || kings[1] != 1) return NULL;

    if (end - text < 3 || (text[1] != 'w' && text[1] != 'b') || text[2] != ' ') return NULL;
    p->side = text[1] == 'b';

    p->castling = 0;
    for (text += 3; text < end && *text != ' '; text++) {
        switch (*text) {
        case 'K': p->castling |= 1; break;
        case 'Q': p->castling |= 2; break;
        case 'k': p->castling |= 4; break;
        case 'q': p->castling |= 8; break;
        case '-': break;
        default: return NULL;
        }
    }
    /* A right needs its king and its rook at home, or castling would move pieces that are not there. */
    static const struct {
        uint8_t right, king, rook, colour;
    } HOMES[4] = {{1, 0x04, 0x07, 0}, {2, 0x04, 0x00, 0}, {4, 0x74, 0x77, BLACK}, {8, 0x74, 0x70, BLACK}};
    for (int i = 0; i < 4; i++)
        if ((p->castling & HOMES[i].right) && (p->squares[HOMES[i].king] != (KING | HOMES[i].colour) ||
                                               p->squares[HOMES[i].rook] != (ROOK | HOMES[i].colour)))
            return NULL;

    if (end - text < 2) return NULL;
    text++;
    p->en_passant = NO_SQUARE;
    if (*text == '-') {
        text++;
    } else {
        if (end - text < 2 || text[0] < 'a' || text[0] > 'h' || text[1] != (p->side ? '3' : '6')) return NULL;
        unsigned square = 16 * (text[1] - '1') + (text[0] - 'a');
        unsigned pawn = square + (p->side ? 16 : -16);
        if (p->squares[square] || p->squares[pawn] != (PAWN | (p->side ? 0 : BLACK))) return NULL;
        p->en_passant = square;
        text += 2;
    }
    return attacked(p, p->kings[!p->side], p->side) ? NULL : text;
}
