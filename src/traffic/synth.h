/* synth: the times of arrivals drawn from a description, private to the room. */
#ifndef TR_TRAFFIC_SYNTH_H
#define TR_TRAFFIC_SYNTH_H

#include "traffic/parts.h"

/* What does not change while arrivals are drawn; shared by all iterators. */
struct tr_synth_model {
    struct tr_rate rate;
    double rate_scale;
    enum tr_process process;
    double burstiness;
    int64_t max_requests; /* 0: to the end of the period */
    /* Modulation: the logarithm of the multiplier of each second; ln_sd 0: none. */
    double rho, ln_sd, innovation_sd;
    uint64_t gap_stream, modulation_stream;
    /* The curve at time t is the rate at t + shift_ns, around the period, which begins at lead_ns:
     * before it, all is as at its start. */
    int64_t shift_ns, lead_ns;
    /* Tenants with curves of their own: what is merged. Models share the rate. 0: one curve. */
    size_t n_voices;
    struct tr_voice_model *voices;
};

struct tr_voice_model {
    struct tr_synth_model synth;
    uint64_t seed;
    int32_t tenant; /* -1: drawn for each request */
};

/* A stretch in which the rate, all factors included, is a straight line. */
struct tr_synth_cell {
    int64_t t0_ns;
    double length_s;
    double x_s;   /* how far the arrivals have come */
    double rate;  /* there, 1/s */
    double slope; /* 1/s^2 */
    double left;  /* expected arrivals from there to the cell's end */
};

struct tr_synth {
    const struct tr_synth_model *model;
    uint64_t seed;
    uint64_t index; /* of the next arrival */
    struct tr_rng_exps exps;
    size_t segment;
    int64_t at_ns; /* where the next cell begins */
    struct tr_synth_cell cell;
    int64_t second; /* that the modulation stands for; -1: not begun */
    double ln_deviation, multiplier;
    int32_t tenant;          /* whose the last arrival was; -1: to be drawn */
    struct tr_voice *voices; /* a heap by (time, voice), NULL where there is one curve */
    size_t n_live;
};

struct tr_voice { /* one of several that are merged, and its next arrival */
    int64_t time_ns;
    size_t number;
    struct tr_synth synth;
};

/* To be freed by tr_synth_model_free. */
int tr_synth_model_init(struct tr_synth_model *m, const struct tr_traffic_spec *spec,
                        struct tr_err *err);
void tr_synth_model_free(struct tr_synth_model *m);
/* Gives each tenant a curve of its own for this part of its requests; voices.c. Last of all that is
 * done to the model. */
int tr_synth_model_part(struct tr_synth_model *m, const struct tr_traffic_spec *spec, uint64_t seed,
                        struct tr_err *err);
void tr_synth_rewind(struct tr_synth *s);
/* False at the end. Times never decrease. */
bool tr_synth_next(struct tr_synth *s, int64_t *time_ns);
void tr_synth_free(struct tr_synth *s);
/* Of several voices: tr_synth_rewind and _next. */
void tr_voices_rewind(struct tr_synth *s);
bool tr_voices_next(struct tr_synth *s, int64_t *time_ns);
/* The end of the period or, when max_requests cuts it, the time of the last arrival. */
int64_t tr_synth_span_ns(const struct tr_synth_model *m, uint64_t seed);

#endif
