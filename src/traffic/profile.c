/* profile: descriptions of traffic that come with the program. */
#include "traffic/traffic.h"

#define HOUR        (INT64_C(3600) * TR_NS_PER_S)
#define MINUTE      (INT64_C(60) * TR_NS_PER_S)
#define SECOND      TR_NS_PER_S
#define AT(h, m, s) ((h)*HOUR + (m)*MINUTE + (s)*SECOND)

void tr_traffic_spec_init(struct tr_traffic_spec *spec)
{
    *spec = (struct tr_traffic_spec){.process = TR_POISSON,
                                     .burstiness = 1.0,
                                     .modulation_time_ns = 5 * SECOND,
                                     .system_variants = 1,
                                     .sessions = {.tpot_ns = 25 * TR_NS_PER_MS},
                                     .rate_scale = 1.0,
                                     .n_tenants = 1};
}

/* An office's chatbot over one day: 70 % of it between 5 and 10 requests/s, twelve spikes to 60 and
 * more in working hours. Local time of day; two knots of one time make a step. */
static const struct tr_knot aks_knots[] = {
    {AT(0, 0, 0), 5.5},   {AT(1, 0, 0), 5.0},   {AT(5, 30, 0), 5.0},  {AT(7, 0, 0), 6.5},
    {AT(8, 30, 0), 9.0},  {AT(9, 0, 0), 10.0},  {AT(9, 0, 0), 13.0},  {AT(12, 12, 0), 13.0},
    {AT(12, 12, 0), 9.5}, {AT(13, 0, 0), 9.5},  {AT(13, 0, 0), 14.0}, {AT(17, 0, 0), 12.5},
    {AT(17, 0, 0), 10.0}, {AT(18, 30, 0), 8.5}, {AT(21, 0, 0), 7.0},  {AT(24, 0, 0), 5.5},
};

/* Start, peak, ramp, hold, decay. */
static const struct tr_spike aks_spikes[] = {
    {AT(9, 7, 0), 62.0, 30 * SECOND, 150 * SECOND, 60 * SECOND},
    {AT(9, 34, 0), 66.0, 20 * SECOND, 240 * SECOND, 60 * SECOND},
    {AT(10, 2, 0), 75.0, 45 * SECOND, 300 * SECOND, 90 * SECOND},
    {AT(10, 41, 0), 60.0, 30 * SECOND, 90 * SECOND, 45 * SECOND},
    {AT(11, 15, 0), 68.0, 30 * SECOND, 180 * SECOND, 60 * SECOND},
    {AT(11, 52, 0), 61.0, 60 * SECOND, 120 * SECOND, 60 * SECOND},
    {AT(13, 24, 0), 64.0, 30 * SECOND, 180 * SECOND, 60 * SECOND},
    {AT(14, 0, 30), 72.0, 20 * SECOND, 270 * SECOND, 90 * SECOND},
    {AT(14, 38, 0), 63.0, 45 * SECOND, 120 * SECOND, 60 * SECOND},
    {AT(15, 10, 0), 70.0, 30 * SECOND, 210 * SECOND, 60 * SECOND},
    {AT(15, 47, 0), 60.0, 30 * SECOND, 150 * SECOND, 60 * SECOND},
    {AT(16, 30, 0), 65.0, 30 * SECOND, 180 * SECOND, 75 * SECOND},
};

void tr_traffic_aks_chatbot(struct tr_traffic_spec *spec)
{
    spec->process = TR_POISSON;
    spec->burstiness = 1.0;
    spec->knots = aks_knots;
    spec->n_knots = TR_LEN(aks_knots);
    spec->spikes = aks_spikes;
    spec->n_spikes = TR_LEN(aks_spikes);
    spec->duration_ns = 24 * HOUR;
    /* Fitted to the index of dispersion at 1, 10 and 60 s of Azure's 2023 conversation hour. */
    spec->modulation_variance = 0.02;
    spec->modulation_time_ns = 5 * SECOND;
    spec->prompt = (struct tr_length){
        .kind = TR_LENGTH_LOGNORMAL, .mean = 1200.0, .cv = 1.0, .min_tok = 16, .max_tok = 16384};
    spec->output = (struct tr_length){
        .kind = TR_LENGTH_LOGNORMAL, .mean = 500.0, .cv = 0.8, .min_tok = 1, .max_tok = 2048};
    spec->relative_to = 45.0;
}
