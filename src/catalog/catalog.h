/* catalog: what tranche knows about GPUs, models, precisions and node types, with the source of
 * every number; how a GPU can be divided; and what of its memory is left for the KV cache.
 *
 * The data are the files catalog/{gpus,models,precisions,nodes,servers}.yaml, compiled in. Every
 * number in them has a source, which `tranche catalog` prints. A GPU's constants have a standing:
 * measured, operators (single operations measured), or estimate.
 *
 * An arrangement says how ONE GPU is divided:
 *     whole                      one pod, the whole card
 *     one-engine                 the same, for all tenants even where each would have a pod of its
 *                                own: the engine is shared, not the card
 *     timeslice:4                four pods take turns on the card
 *     mps:4                      four pods at once on the card
 *     mig:1g.10gb*7              seven MIG instances, a pod on each
 *     mig:3g.40gb+4g.40gb        two unlike instances
 *     mig:3g.40gb*2/timeslice:2  two instances, two pods taking turns on each
 * followed, where it matters, by the precision of the model: "mig:1g.10gb*7 int4". In memory it is
 * a list of parts; a part is a piece of hardware of its own and has one or more pods on it.
 */
#ifndef TR_CATALOG_CATALOG_H
#define TR_CATALOG_CATALOG_H

#include "base/base.h"
#include "num/num.h"
#include "fmt/fmt.h"

/* Between p = infinity, a perfect division (all run at full speed until the card is full), and
 * p = 1; fitted to published totals of 3, 5 and 7 clients (docs/model.md, "MPS"). */
#define TR_MPS_SHARPNESS 1.1

#define TR_HOURS_PER_MONTH 730.0

#define TR_MAX_STARTS    8
#define TR_MAX_PROFILES  16
#define TR_MAX_PARTS     8
#define TR_MAX_PODS      16 /* pods on one GPU */
#define TR_MAX_WORKLOADS 16
/* Letters of a profile name: eight names and what joins them fit an arrangement's text. */
#define TR_MAX_PROFILE_NAME 15

enum tr_standing { TR_MEASURED, TR_OPERATORS, TR_ESTIMATE };

/* One MIG profile of one GPU. Geometry in slots: an instance occupies `mem_slots` consecutive
 * memory slots from one of `starts`, and `compute_slices` of the GPU's compute slices. */
struct tr_mig_profile {
    const char *name; /* "1g.10gb", "1g.10gb+me" */
    int compute_slices;
    int mem_slots;
    int n_starts, starts[TR_MAX_STARTS];
    int max_count;
    int sms;
    int64_t mem_bytes; /* usable, as the instance reports it */
    bool media;        /* a +me profile: once per GPU, otherwise as its plain sibling */
    bool plain;        /* neither +me nor double memory: what `auto` and the 12 layouts use */
    const char *source;
};

struct tr_gpu {
    const char *name;    /* "A100-PCIe-80GB" */
    const char *aliases; /* other names, separated by spaces, or NULL */
    const char *arch;    /* "Ampere", "Ada", "Hopper", "Blackwell" */
    double peak_flops;   /* dense bf16, 1/s */
    double bandwidth;    /* bytes/s */
    int sms;
    int64_t mem_bytes; /* total as CUDA reports it */
    bool fp8_tensor;
    /* Step-time constants, docs/model.md: efficiencies ec, eb, ead, eap; s0 in tokens; seconds. */
    double ec, eb, ead, eap, s0;
    double ec_alone; /* ec of one MIG instance while the others idle (no shared power cap) */
    double tg_s, tl_s, ta_s;
    double tq_s;                      /* added to each layer GEMM with quantised weights */
    double host_async_s, seq_async_s; /* host time per step and per sequence, asynchronous engine */
    double quantum_s, switch_s;       /* time-slicing: quantum and context switch */
    int yields;           /* times within an asynchronous step that its GPU queue runs dry: 0 */
    double mps_sharpness; /* p of the MPS formula: TR_MPS_SHARPNESS */
    enum tr_standing standing;
    double error; /* stated relative error of a step time: 0.10, 0.25 */
    /* vLLM's scheduler defaults when a process sees this card whole. */
    int max_num_batched_tokens, max_num_seqs;
    /* MIG: 0 profiles where the card has none. */
    int mem_slots, compute_slices;
    int n_profiles;
    struct tr_mig_profile profiles[TR_MAX_PROFILES];
    const char *sources; /* one line per number: "peak_tflops 312: data sheet ...\n" */
};

/* A dense decoder-only transformer, by the fields of its Hugging Face config.json. */
struct tr_model {
    const char *name;  /* "llama-3.1-8b" */
    const char *hf_id; /* "meta-llama/Llama-3.1-8B-Instruct" */
    int layers, hidden, heads, kv_heads, head_dim, ffn, vocab, max_positions;
    bool tied; /* input and output embedding share their weights */
    bool qkv_bias, o_bias, mlp_bias, qk_norm, four_norms;
    int sliding_window;       /* > 0: has sliding-window layers, counted here as full attention */
    int64_t params;           /* all */
    int64_t layer_params;     /* linear weights inside the layers: what quantisation shrinks */
    int64_t head_params;      /* the output projection, vocab x hidden */
    int64_t embed_params;     /* input embedding held in memory (0 when tied) */
    int64_t other_params;     /* norms and biases */
    int64_t kv_bytes_per_tok; /* bf16 KV */
    const char *note;         /* "sliding window counted as full attention", or NULL */
    const char *source;
    bool estimate_params;
};

/* How weights are stored and computed with. Index into the catalog's list; 0 is bf16. */
struct tr_precision {
    const char *name;    /* "bf16", "fp8", "int8", "int4" */
    double weight_bytes; /* per layer weight held and read: 2, 1, 1, 0.53 */
    double cm;        /* rate of compute-bound layer GEMMs against bf16, without native support */
    double cm_native; /* the same where the GPU has the tensor cores for it (fp8 on Hopper, Ada) */
    bool needs_tq;    /* adds the GPU's tq to each layer GEMM unless native */
    bool fp8_native;  /* runs natively on a GPU with fp8 tensor cores: only fp8 does */
    int n_quality;
    struct tr_quality {
        const char *metric; /* "arena-hard" */
        double loss;        /* relative: 0.07 is 7 % worse than bf16 */
        const char *source;
    } quality[8];
    const char *source; /* one line per number, as in struct tr_gpu */
};

struct tr_node_type {
    const char *name; /* "azure/Standard_NC24ads_A100_v4" */
    const struct tr_gpu *gpu;
    int gpus;
    /* What a node costs; NAN where it is not known. */
    double usd_per_h;             /* list price, on demand */
    double reserved_usd_per_h;    /* committed to for one year, */
    double reserved_3y_usd_per_h; /* or for three */
    double spot_usd_per_h;
    double spot_interrupts_per_h; /* how often the provider takes a spot node back */
    const char *region;
    bool mig_at_creation_only; /* the provider fixes MIG when the pool is made */
    const char *note, *source;
};

/* A GPU server that is no language model: an embedder, a reranker, a classifier. It takes what
 * waits as one batch; a batch of n items takes batch_ns + n x item_ns on the whole GPU. */
struct tr_server {
    const char *name;         /* "bert-base-128" */
    const char *note;         /* what it stands for, or NULL */
    const char *item;         /* what an item is: "sequence of 128 tokens" */
    const struct tr_gpu *gpu; /* on which it was measured */
    int64_t batch_ns, item_ns;
    int max_batch; /* items */
    int64_t mem_bytes;
    const char *source; /* one line per number */
};

struct tr_catalog {
    struct tr_arena arena;
    struct tr_gpu *gpus;
    size_t n_gpus;
    struct tr_model *models;
    size_t n_models;
    struct tr_precision *precisions;
    size_t n_precisions;
    struct tr_node_type *nodes;
    size_t n_nodes;
    struct tr_server *servers;
    size_t n_servers;
    const char *prices_date; /* when the prices were read */
};

/* Loads the compiled-in data; with `dir` not NULL, files of the same names found there replace them
 * one by one. */
int tr_catalog_load(const char *dir, struct tr_catalog **out, struct tr_err *err);
void tr_catalog_free(struct tr_catalog *cat);
/* One of the files ("gpus.yaml") as a tree, from `dir` if it has it, else the compiled-in one. */
int tr_catalog_file(struct tr_arena *arena, const char *dir, const char *name,
                    struct tr_node **root, struct tr_err *err);

/* Look-ups ignore case. On failure `err` names what is allowed and the nearest; an ambiguous GPU
 * name ("a100-80gb") is answered with its candidates. `at` (may be NULL) gives the position. */
int tr_catalog_gpu(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                   const struct tr_gpu **out, struct tr_err *err);
int tr_catalog_model(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                     const struct tr_model **out, struct tr_err *err);
int tr_catalog_precision(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                         const struct tr_precision **out, struct tr_err *err);
int tr_catalog_node(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                    const struct tr_node_type **out, struct tr_err *err);
int tr_catalog_server(const struct tr_catalog *cat, const char *name, const struct tr_node *at,
                      const struct tr_server **out, struct tr_err *err);
/* What must hold between the numbers of a server, wherever they come from. */
int tr_server_check(const struct tr_server *server, const struct tr_node *at, struct tr_err *err);

/* Reads a Hugging Face config.json of a dense model into `out`. Mixture of experts, MLA,
 * state-space and encoder models are refused by name. */
int tr_model_from_config(struct tr_arena *arena, const char *path, struct tr_model *out,
                         struct tr_err *err);
/* The same from memory (fuzzing, tests); `path` is used in messages. */
int tr_model_parse_config(struct tr_arena *arena, const char *path, const char *text, size_t len,
                          struct tr_model *out, struct tr_err *err);
/* Fills params, layer_params, ... kv_bytes_per_tok from the dimensions. */
void tr_model_derive(struct tr_model *model);

/* What a precision means on one GPU: the rate of compute-bound layer GEMMs against bf16, and the
 * time added to each of them. */
double tr_precision_cm(const struct tr_precision *precision, const struct tr_gpu *gpu);
double tr_precision_tq_s(const struct tr_precision *precision, const struct tr_gpu *gpu);
/* The recorded quality loss by this metric (case ignored), or NULL when it is not known. */
const struct tr_quality *tr_precision_quality(const struct tr_precision *precision,
                                              const char *metric);

/* ---- spreads -------------------------------------------------------------------------------- */

/* How far a constant may be off: a lognormal factor around 1 with standard deviation `a` of its
 * logarithm, or anything from `a` to `b` alike. */
enum tr_law { TR_LOGNORMAL, TR_UNIFORM };
struct tr_spread {
    const char *name;
    enum tr_law law;
    double a, b;
    const char *source;
};
#define TR_MAX_SPREADS 12
/* The spreads of a GPU's or a precision's constants; returns how many. */
int tr_gpu_spreads(const struct tr_gpu *gpu, struct tr_spread out[TR_MAX_SPREADS]);
int tr_precision_spreads(const struct tr_precision *precision,
                         struct tr_spread out[TR_MAX_SPREADS]);
/* The entry with all of its constants drawn; draw 0 is the catalog's own. The same draw moves the
 * same constant alike for whatever runs on that GPU, or with weights so stored. */
void tr_gpu_draw(const struct tr_gpu *gpu, uint64_t seed, uint64_t draw, struct tr_gpu *out);
void tr_precision_draw(const struct tr_precision *precision, uint64_t seed, uint64_t draw,
                       struct tr_precision *out);

/* ---- arrangements --------------------------------------------------------------------------- */

enum tr_sharing { TR_SOLO, TR_TIMESLICE, TR_MPS };

struct tr_part {
    const struct tr_mig_profile *profile; /* NULL: the whole card */
    enum tr_sharing sharing;
    int n_pods; /* 1 with TR_SOLO */
};

struct tr_arrangement {
    char text[160]; /* canonical, without the precision */
    int n_parts;
    struct tr_part parts[TR_MAX_PARTS];
    int n_pods; /* over all parts */
    bool mig;
    bool one_engine;
};

/* Parses the grammar above for this GPU: a profile the GPU lacks is answered with those it has, a
 * layout that cannot be placed with the reason ("4g.40gb can start only at slot 0"). A trailing
 * precision is returned in *precision (NULL: none given). */
int tr_arrangement_parse(const char *text, const struct tr_gpu *gpu, const struct tr_catalog *cat,
                         struct tr_arrangement *out, const struct tr_precision **precision,
                         struct tr_err *err);
/* Simplicity order for ties: whole 0 < one-engine 1 < timeslice 2 < mps 3 < uniform MIG 4 <
 * mixed 5 < divided 6. */
int tr_arrangement_rank(const struct tr_arrangement *a);

/* Can these profiles stand on the GPU together? Finds a legal start for each by search over
 * placements (starts[i] is filled, -1 if not); false if there is none. */
bool tr_mig_place(const struct tr_gpu *gpu, const struct tr_mig_profile *const *profiles, int n,
                  int *starts);
/* Every multiset of plain profiles (with `all`: of all non-media profiles) that can be placed and
 * cannot be extended, as counts per profile index, largest profile first. Returns how many there
 * are; writes at most `max`. */
int tr_mig_maximal(const struct tr_gpu *gpu, bool all, int (*counts)[TR_MAX_PROFILES], int max);

#define TR_BLOCK_TOK 16 /* tokens per KV block, vLLM's block_size */

/* ---- memory --------------------------------------------------------------------------------- */

/* What one pod of a part can use while its neighbours idle, as fractions of the card: all of the
 * part, or under MPS what its cap lets it have. */
struct tr_share_hw {
    const struct tr_gpu *gpu;
    double ec;          /* gpu->ec, or ec_alone for a slice whose neighbours idle */
    double sm_fraction; /* of the card's SMs */
    double bw_fraction; /* of its bandwidth: memory slots, or what so few SMs can draw */
    int sms;
    int64_t mem_bytes; /* of the part */
    int n_pods;        /* that share the part */
    enum tr_sharing sharing;
    bool mig;
};
struct tr_share_hw tr_share_hw_of(const struct tr_gpu *gpu, const struct tr_part *part);

/* The memory of one pod (docs/model.md, "Memory"). */
struct tr_memory {
    double utilization;     /* gpu_memory_utilization assumed or given */
    double utilization_max; /* the largest at which all the part's pods start */
    int64_t budget_bytes;   /* utilization x memory of the part */
    int64_t weights_bytes, activation_bytes, graphs_bytes;
    int64_t context_bytes;  /* CUDA context, outside the budget */
    int64_t kv_bytes;       /* what is left; negative: does not fit */
    int64_t kv_tok;         /* as vLLM logs it: whole blocks of 16, the null block included */
    int32_t num_gpu_blocks; /* usable: kv_tok / 16, less vLLM's null block */
};

/* Overrides from the user's engine section; 0 (or 0.0) = not given. */
struct tr_memory_opts {
    double gpu_memory_utilization;
    int64_t kv_tok;
    int64_t num_gpu_blocks;
    int max_num_batched_tokens, max_num_seqs; /* resolved, never 0 */
};
void tr_memory_size(const struct tr_share_hw *hw, const struct tr_model *model,
                    const struct tr_precision *precision, const struct tr_memory_opts *opts,
                    struct tr_memory *out);
/* The KV cache of each of `pods` pods that start at the same moment on one memory, each of which
 * takes the others' weights, loaded while it measures, for its own. Negative: it does not start. */
int64_t tr_memory_together_bytes(const struct tr_memory *m, int pods);
/* Bytes of the model's weights held by one pod. */
int64_t tr_model_weight_bytes(const struct tr_model *model, const struct tr_precision *precision);

#endif
