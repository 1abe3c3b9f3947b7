/* sessions: conversations, drawn from a description; private to the room.
 *
 * A session is a row of turns. Its first prompt is drawn from the traffic's prompt lengths; each
 * later one is the prompt before it, the answer to that, and a new message. A turn comes when the
 * answer before it has been given at a nominal speed and read: its time depends on no system, so
 * that every arrangement sees the same arrivals.
 *
 * What is drawn for a turn is a function of (seed, session, turn) alone. Sessions start before
 * time 0, long enough that those in progress then are as many as at any other time.
 */
#ifndef TR_TRAFFIC_SESSIONS_H
#define TR_TRAFFIC_SESSIONS_H

#include "traffic/synth.h"

#define TR_TURN_BITS 16 /* of a turn's id; the others are its session's */

#define TR_TURN_LEVELS 8

/* What does not change while turns are drawn; shared by all iterators. */
struct tr_sessions_model {
    double turns;   /* asked for, in the mean */
    bool fixed;     /* always so many */
    double ln_stay; /* geometric: ln of the chance that one more turn follows */
    double below[TR_TURN_LEVELS], above[TR_TURN_LEVELS]; /* of that chance to the power 1, 2, ... */
    double turns_out; /* in the mean, as they come out: a session ends before max_tok is passed */
    int32_t max_tok;
    int64_t tpot_ns;
    double think_s, think_ln_mean, think_ln_sd; /* sd 0: always think_s */
    int64_t lead_ns;                            /* sessions start this long before time 0 */
    int64_t end_ns;
    int64_t max_requests; /* 0: to the end */
    struct tr_tokens message;
    const struct tr_tokens *prompt, *output;
    uint64_t turns_stream, prompt_stream, message_stream, output_stream, think_stream, gap_stream;
};

struct tr_turn {
    int64_t time_ns;
    uint64_t id;     /* session << TR_TURN_BITS | turn, both from 0 */
    uint16_t turns;  /* of its session, unless that ends early */
    uint16_t tenant; /* its own + 1; 0: to be drawn */
    int32_t prompt_tok, output_tok;
    int32_t first_tok; /* prompt of the session's first turn */
};

struct tr_sessions {
    const struct tr_sessions_model *model;
    uint64_t seed;
    struct tr_synth *starts; /* NULL: a Poisson process of this rate */
    double start_rate, gaps;
    struct tr_rng_exps exps;
    int64_t most; /* requests; 0: to the model's end */
    int64_t given;
    uint64_t session;      /* of the next start */
    int64_t start_ns;      /* its time; TR_TIME_NEVER: no more */
    uint16_t start_tenant; /* whose it is, as in a turn */
    bool begun;
    struct tr_turn *heap; /* the next turn of each live session, by (time, id) */
    size_t n, cap;
};

/* `synth` is a model of requests on the way in, of session starts on the way out. The model's
 * message lengths are to be freed by tr_tokens_free. */
int tr_sessions_model_init(struct tr_sessions_model *m, const struct tr_traffic_spec *spec,
                           const struct tr_tokens *prompt, const struct tr_tokens *output,
                           struct tr_synth_model *synth, struct tr_err *err);
void tr_sessions_rewind(struct tr_sessions *s);
/* False at the end. Turns come by (time, session, turn). */
bool tr_sessions_next(struct tr_sessions *s, struct tr_turn *out);
void tr_sessions_free(struct tr_sessions *s);

/* Turns that follow the first of a session, at a uniform number. */
int32_t tr_sessions_further(const struct tr_sessions_model *m, double u);

/* Mean turns of sessions that end before a prompt would pass max_tok; turns.c. */
double tr_sessions_mean_turns(const struct tr_sessions_model *m);

#endif
