/* scenario: what a user writes is what the program works with; what cannot be is one clear line. */
#include "scenario/keys.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static const char *root_path(const char *relative)
{
    static char buf[4][1024];
    static int next;
    char *out = buf[next++ % 4];
    const char *root = getenv("TRANCHE_ROOT");

    snprintf(out, sizeof(buf[0]), "%s/%s", root ? root : ".", relative);
    return out;
}

static char *slurp(const char *path, size_t *len)
{
    struct tr_err err = {0};
    char *text;

    if (tr_file_read(path, (size_t)1 << 24, &text, len, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}

static struct tr_scenario *load(const char *relative)
{
    struct tr_scenario *s;
    struct tr_err err = {0};

    if (tr_scenario_load(root_path(relative), NULL, &s, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

static struct tr_scenario *parse(const char *text)
{
    struct tr_scenario *s;
    struct tr_err err = {0};

    if (tr_scenario_parse("s.yaml", text, strlen(text), NULL, &s, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

static const char *problem(const char *path, const char *text, size_t len)
{
    static struct tr_err err;
    struct tr_scenario *s;

    memset(&err, 0, sizeof(err));
    if (tr_scenario_parse(path, text, len, NULL, &s, &err) == 0) {
        tr_scenario_free(s);
        return "(read without complaint)";
    }
    assert_null(s);
    assert_int_equal(err.code, TR_EINPUT);
    return err.text;
}

/* good.yaml with `from` replaced by the text added after it. */
static struct tr_scenario *parse_with(const char *from, const char *to)
{
    size_t len;
    char *good = slurp(root_path("tests/golden/scenario/good.yaml"), &len), *at;
    struct tr_str s = {0};
    struct tr_scenario *out;

    at = strstr(good, from);
    assert_non_null(at);
    tr_str_printf(&s, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
    out = parse(s.text);
    tr_str_free(&s);
    free(good);
    return out;
}

#define TRAFFIC "traffic: {rate: 1/s, duration: 1h, prompt_tokens: 100, output_tokens: 10}"

/* ---- what is read ------------------------------------------------------------------------- */

static void the_chatbot(void **state)
{
    struct tr_scenario *s = load("examples/aks-chatbot.yaml");
    const struct tr_workload *w = &s->workload;

    (void)state;
    assert_string_equal(s->name, "AKS internal chatbot");
    assert_int_equal(s->n_nodes, 1);
    assert_string_equal(s->nodes[0]->name, "azure/Standard_NC24ads_A100_v4");
    assert_string_equal(s->nodes[0]->gpu->name, "A100-PCIe-80GB");
    assert_int_equal(s->nodes_min, 1);
    assert_int_equal(s->nodes_max, 40);
    assert_int_equal(s->n_workloads, 1);
    assert_string_equal(w->name, "chat");
    assert_string_equal(w->model->name, "llama-3.1-8b");
    assert_int_equal(w->n_precisions, 2);
    assert_string_equal(w->precisions[0]->name, "bf16");
    assert_string_equal(w->precisions[1]->name, "int4");
    assert_true(w->has_quality_limit);
    assert_string_equal(w->quality.metric, "arena-hard");
    assert_float_equal(w->quality.at_most, 0.08, 0);
    assert_int_equal(w->engine.max_model_len, 8192);
    assert_int_equal(w->engine.max_num_seqs, 0);
    assert_false(w->engine.no_async_scheduling);
    assert_int_equal(w->n_tenants, 1);
    assert_int_equal(w->traffic.salt, 0);
    assert_float_equal(w->traffic.own_curve, 0, 0);
    assert_float_equal(w->shares[0], 1, 0);
    assert_int_equal(w->router, TR_ROUTE_RANDOM);
    assert_int_equal(w->client_timeout_ns, 60 * TR_NS_PER_S);
    assert_int_equal(w->traffic.n_spikes, 12);
    assert_float_equal(w->traffic.rate_scale, 1, 0);
    assert_false(w->traffic.capacity_relative);
    assert_int_equal(w->slo.n, 1);
    assert_int_equal(w->slo.objective[0].metric, TR_TTFT);
    assert_float_equal(w->slo.objective[0].fraction, 0.95, 0);
    assert_int_equal(w->slo.objective[0].limit_ns, 500 * TR_NS_PER_MS);
    assert_int_equal(s->isolation, TR_ISOLATION_NONE);
    assert_true(s->compare_auto);
    assert_int_equal(s->n_claims, 0);
    tr_scenario_free(s);

    s = load("examples/aks-chatbot-one-gpu.yaml");
    assert_true(s->workload.traffic.capacity_relative);
    assert_float_equal(s->workload.traffic.relative_to, 45, 0);
    tr_scenario_free(s);
}

static void the_other_examples(void **state)
{
    struct tr_scenario *s = load("examples/azure-chat.yaml");

    (void)state;
    assert_string_equal(s->workload.traffic.trace,
                        root_path("examples/data/AzureLLMInferenceTrace_conv.csv"));
    assert_string_equal(s->workload.traffic.format, "azure");
    tr_scenario_free(s);

    s = load("examples/seven-tenants.yaml");
    assert_int_equal(s->isolation, TR_ISOLATION_PERFORMANCE);
    assert_int_equal(s->workload.n_tenants, 7);
    assert_true(s->workload.own_pods);
    assert_int_equal(s->workload.router, TR_ROUTE_TENANT);
    assert_float_equal(s->workload.shares[0], 0.3857, 0.0001); /* 1 / (1 + 1/2 + ... + 1/7) */
    assert_float_equal(s->workload.shares[6] * 7, s->workload.shares[0], 1e-15);
    assert_ptr_equal(s->workload.traffic.shares, s->workload.shares);
    tr_scenario_free(s);

    s = load("examples/four-small.yaml");
    assert_float_equal(s->workload.shares[3], 0.25, 0);
    assert_float_equal(s->workload.traffic.knots[0].rate, 0.2, 1e-15);
    tr_scenario_free(s);
    s = load("examples/heavy.yaml");
    assert_int_equal(s->workload.slo.n, 2);
    tr_scenario_free(s);
}

static void claims(void **state)
{
    struct tr_scenario *s = load("examples/claims.yaml");
    const struct tr_claim *mig = NULL;

    (void)state;
    assert_int_equal(s->n_workloads, 0);
    assert_int_equal(s->n_claims, 7);
    for (size_t i = 0; i < s->n_claims; i++)
        if (s->claims[i].request_rate == 28)
            mig = &s->claims[i];
    assert_non_null(mig);
    assert_string_equal(mig->gpu->name, "A100-PCIe-80GB");
    assert_string_equal(mig->arrangement.text, "mig:1g.10gb*7");
    assert_string_equal(mig->precision->name, "int4");
    assert_int_equal(mig->prompt_tok, 1200);
    assert_int_equal(mig->output_tok, 500);
    assert_true(mig->at->line > 1);
    tr_scenario_free(s);
}

/* Every key of the table, in a file that is accepted. */
static const char described[] =
    "name: full\n"
    "cluster: {node: [azure/Standard_NC24ads_A100_v4, aws/g6e.xlarge], nodes: {min: 2, max: 9}}\n"
    "workloads:\n"
    "  - name: w\n"
    "    model: Llama-3.1-8B\n"
    "    precision: fp8\n"
    "    max_quality_loss: {metric: openllm-v1, at_most: 0.05}\n"
    "    engine:\n"
    "      max_model_len: 4096\n"
    "      max_num_seqs: 64\n"
    "      max_num_batched_tokens: 1024\n"
    "      long_prefill_token_threshold: 512\n"
    "      gpu_memory_utilization: 90%\n"
    "      kv_tokens: 100000\n"
    "      async_scheduling: false\n"
    "      cuda_graph_padding: true\n"
    "      max_num_queued_reqs: 100\n"
    "    tenants: {count: 2, shares: [0.75, 25%], pods: common, synchrony: 0.25}\n"
    "    router: session-affine\n"
    "    client: {timeout: 2m}\n"
    "    isolation: memory\n"
    "    traffic:\n"
    "      rates: [[0, 60/min], [1h, 2], [1h, 3/s], [2h, 1]]\n"
    "      duration: 3h\n"
    "      arrivals: gamma\n"
    "      burstiness: 0.5\n"
    "      spikes:\n"
    "        - {start: 10m, peak: 20/s, ramp: 5s, hold: 1m, decay: 10s}\n"
    "        - {start: 50m, peak: 30/s, hold: 2m}\n"
    "      modulation: {variance: 0.02, correlation_time: 7s}\n"
    "      prompt_tokens: {mean: 1200, cv: 1, min: 16, max: 4000}\n"
    "      output_tokens: {mean: 50, cv: 0.5}\n"
    "      rate_scale: 2\n"
    "    slo: {ttft_p95: 500ms, tpot_p99: 50ms, e2e_p99.9: 1m, window: spikes}\n"
    "compare: [whole, 'timeslice:4 int4']\n";

static void described_traffic(void **state)
{
    struct tr_scenario *s = parse(described);
    const struct tr_workload *w = &s->workload;
    const struct tr_traffic_spec *t = &w->traffic;

    (void)state;
    assert_int_equal(s->n_nodes, 2);
    assert_string_equal(s->nodes[1]->gpu->name, "L40S");
    assert_int_equal(s->nodes_max, 9);
    assert_string_equal(w->model->name, "llama-3.1-8b");
    assert_string_equal(w->precisions[0]->name, "fp8");
    assert_int_equal(w->engine.max_num_seqs, 64);
    assert_int_equal(w->engine.max_num_batched_tokens, 1024);
    assert_int_equal(w->engine.long_prefill_token_threshold, 512);
    assert_float_equal(w->engine.gpu_memory_utilization, 0.9, 0);
    assert_int_equal(w->engine.kv_tok, 100000);
    assert_true(w->engine.no_async_scheduling);
    assert_true(w->engine.cuda_graph_padding);
    assert_int_equal(w->engine.queue_limit, 100);
    assert_float_equal(w->shares[1], 0.25, 1e-15);
    assert_float_equal(t->own_curve, 0.75, 0);
    assert_int_equal(w->router, TR_ROUTE_SESSION);
    assert_int_equal(s->isolation, TR_ISOLATION_MEMORY);
    assert_int_equal(t->n_knots, 4);
    assert_float_equal(t->knots[0].rate, 1, 0);
    assert_int_equal(t->knots[2].time_ns, 3600 * TR_NS_PER_S);
    assert_int_equal(t->duration_ns, 3 * 3600 * TR_NS_PER_S);
    assert_int_equal(t->process, TR_GAMMA);
    assert_float_equal(t->burstiness, 0.5, 0);
    assert_int_equal(t->n_spikes, 2);
    assert_int_equal(t->spikes[0].decay_tau_ns, 10 * TR_NS_PER_S);
    assert_int_equal(t->spikes[1].ramp_ns, 30 * TR_NS_PER_S); /* the default */
    assert_int_equal(t->spikes[1].hold_ns, 120 * TR_NS_PER_S);
    assert_float_equal(t->modulation_variance, 0.02, 0);
    assert_int_equal(t->modulation_time_ns, 7 * TR_NS_PER_S);
    assert_int_equal(t->prompt.min_tok, 16);
    assert_int_equal(t->output.min_tok, 1);
    assert_int_equal(t->output.max_tok, 32768);
    assert_float_equal(t->rate_scale, 2, 0);
    assert_int_equal(w->slo.n, 3);
    assert_true(w->slo.spikes_only);
    assert_int_equal(w->slo.objective[2].metric, TR_E2E);
    assert_float_equal(w->slo.objective[2].fraction, 0.999, 0);
    assert_false(s->compare_auto);
    assert_int_equal(s->n_compare, 2);
    assert_string_equal(s->compare[1], "timeslice:4 int4");
    assert_int_equal(s->compare_at[1]->line, 35);
    tr_scenario_free(s);
}

static void variants_of_traffic(void **state)
{
    struct tr_scenario *s;

    (void)state;
    /* A profile with other lengths, the rest as it is. */
    s = parse_with(TRAFFIC, "traffic: {prompt_tokens: 300, profile: aks-chatbot, rate_scale: 2}");
    assert_int_equal(s->workload.traffic.prompt.fixed_tok, 300);
    assert_float_equal(s->workload.traffic.output.mean, 500, 0);
    assert_float_equal(s->workload.traffic.rate_scale, 2, 0);
    tr_scenario_free(s);

    s = parse_with(TRAFFIC, "traffic: {trace: /dev/null, format: csv, time_unit: 1ms, "
                            "max_requests: 7, columns: {time: t, prompt_tokens: p, "
                            "output_tokens: o, tenant: who, session: chat}}");
    assert_string_equal(s->workload.traffic.col_time, "t");
    assert_string_equal(s->workload.traffic.col_prompt, "p");
    assert_string_equal(s->workload.traffic.col_output, "o");
    assert_string_equal(s->workload.traffic.col_tenant, "who");
    assert_string_equal(s->workload.traffic.col_session, "chat");
    assert_float_equal(s->workload.traffic.time_unit_s, 0.001, 0);
    assert_int_equal(s->workload.traffic.max_requests, 7);
    tr_scenario_free(s);

    /* What prompts share, with what is left out at its default. */
    s = parse_with(TRAFFIC, "traffic: {profile: aks-chatbot, system_prompt: {tokens: 800}, "
                            "sessions: {turns: 2.5, message_tokens: {mean: 90, cv: 2}, "
                            "think_time: 30s}}");
    const struct tr_traffic_spec *t = &s->workload.traffic;
    assert_int_equal(t->system_tok, 800);
    assert_int_equal(t->system_variants, 1);
    assert_float_equal(t->sessions.turns, 2.5, 0);
    assert_false(t->sessions.fixed_turns);
    assert_float_equal(t->sessions.message.mean, 90, 0);
    assert_int_equal(t->sessions.message.max_tok, 32768);
    assert_int_equal(t->sessions.think_ns, 30 * TR_NS_PER_S);
    assert_float_equal(t->sessions.think_cv, 1, 0);
    assert_int_equal(t->sessions.tpot_ns, 25 * TR_NS_PER_MS);
    tr_scenario_free(s);
    s = parse_with("duration: 1h",
                   "duration: 1h, system_prompt: {tokens: 8, variants: 3}, "
                   "sessions: {turns: 4, turns_distribution: fixed, message_tokens: 9, "
                   "think_time: 1m, think_cv: 0.5, nominal_tpot: 10ms}");
    t = &s->workload.traffic;
    assert_int_equal(t->system_variants, 3);
    assert_true(t->sessions.fixed_turns);
    assert_int_equal(t->sessions.message.fixed_tok, 9);
    assert_float_equal(t->sessions.think_cv, 0.5, 0);
    assert_int_equal(t->sessions.tpot_ns, 10 * TR_NS_PER_MS);
    tr_scenario_free(s);

    /* vllm bench serve's word alone says gamma; a constant rate has one knot. */
    s = parse_with("duration: 1h", "duration: 1h, burstiness: 2");
    assert_int_equal(s->workload.traffic.process, TR_GAMMA);
    assert_int_equal(s->workload.traffic.n_knots, 1);
    tr_scenario_free(s);
}

/* Several workloads, each with what it does not share, and the scenario of one of them. */
static void several_workloads(void **state)
{
    struct tr_scenario *s =
        parse_with("  - name: chat\n",
                   "  - name: batch\n"
                   "    model: qwen2.5-7b\n"
                   "    isolation: fault\n"
                   "    tenants: {count: 3}\n"
                   "    traffic: {rate: 2/s, duration: 2h, prompt_tokens: 9, output_tokens: 8}\n"
                   "    slo: {e2e_p90: 30s}\n"
                   "  - name: chat\n");
    struct tr_scenario view;

    (void)state;
    assert_int_equal(s->n_workloads, 2);
    assert_string_equal(s->workload.name, "batch");
    assert_int_equal(s->workload.isolation, TR_ISOLATION_FAULT);
    assert_string_equal(s->workloads[1].name, "chat");
    assert_string_equal(s->workloads[1].model->name, "llama-3.1-8b");
    assert_int_equal(s->workloads[1].n_precisions, 2);
    assert_int_equal(s->workloads[0].n_precisions, 1); /* the default of each */
    assert_int_equal(s->workloads[1].isolation, TR_ISOLATION_NONE);
    assert_int_equal(s->workloads[0].traffic.n_tenants, 3);
    assert_int_equal(s->workloads[1].traffic.prompt.fixed_tok, 100);
    assert_int_equal(s->workloads[1].slo.objective[0].metric, TR_TTFT);

    /* Workloads described alike have arrivals of their own. */
    assert_true(s->workloads[0].traffic.salt && s->workloads[1].traffic.salt);
    assert_true(s->workloads[0].traffic.salt != s->workloads[1].traffic.salt);

    tr_scenario_view(s, 1, &view);
    assert_int_equal(view.n_workloads, 1);
    assert_string_equal(view.workload.name, "chat");
    assert_ptr_equal(view.workloads, &s->workloads[1]);
    assert_int_equal(view.isolation, TR_ISOLATION_NONE);
    assert_int_equal(view.nodes_max, s->nodes_max);
    tr_scenario_view(s, 0, &view);
    assert_int_equal(view.isolation, TR_ISOLATION_FAULT);
    tr_scenario_free(s);
}

static void prices_of_ones_own(void **state)
{
    (void)state;
    struct tr_scenario *s = parse("cluster:\n"
                                  "  node: aws/g6e.xlarge\n"
                                  "  price: {on_demand: 1.5, spot: 0.5, interruptions: 0.25/h}\n"
                                  "workloads:\n"
                                  "  - model: llama-3.1-8b\n"
                                  "    traffic: {rate: 1/s, duration: 1h, prompt_tokens: 100,\n"
                                  "              output_tokens: 10}\n"
                                  "    slo: {ttft_p95: 500ms}\n");
    const struct tr_node_type *n = s->nodes[0], *catalog = NULL;
    assert_int_equal(tr_catalog_node(s->catalog, "aws/g6e.xlarge", NULL, &catalog, NULL), 0);
    assert_true(n->usd_per_h == 1.5 && n->spot_usd_per_h == 0.5);
    assert_true(fabs(n->spot_interrupts_per_h - 0.25) < 1e-12);
    /* What was left out is the catalog's, which stays as it is. */
    assert_true(n->reserved_usd_per_h == catalog->reserved_usd_per_h);
    assert_true(catalog->usd_per_h == 1.861 && n->gpu == catalog->gpu);
    tr_scenario_free(s);
}

static void simple_servers(void **state)
{
    static const char two[] =
        "cluster: {node: azure/Standard_NC24ads_A100_v4}\n"
        "workloads:\n"
        "  - name: embed\n"
        "    server: bert-base-128\n"
        "    traffic: {rate: 50/s, duration: 1h, items: {mean: 4, cv: 1, max: 64}}\n"
        "    slo: {e2e_p95: 50ms}\n"
        "  - name: own\n"
        "    server: {batch: 2ms, item: 0.3ms, max_batch: 16, memory: 2GiB, gpu: l4}\n"
        "    traffic: {profile: aks-chatbot}\n"
        "    slo: {e2e_p95: 50ms}\n";
    struct tr_scenario *s = parse(two);
    const struct tr_workload *w = s->workloads;

    (void)state;
    assert_null(w[0].model);
    assert_string_equal(w[0].server->item, "sequence of 128 tokens");
    assert_int_equal(w[0].traffic.prompt.kind, TR_LENGTH_LOGNORMAL);
    assert_float_equal(w[0].traffic.prompt.mean, 4, 0);
    assert_int_equal(w[0].traffic.prompt.max_tok, 64);
    assert_int_equal(w[0].traffic.output.fixed_tok, 1);
    assert_int_equal(w[1].server->batch_ns, 2 * TR_NS_PER_MS);
    assert_int_equal(w[1].server->item_ns, 300000);
    assert_int_equal(w[1].server->max_batch, 16);
    assert_int_equal(w[1].server->mem_bytes, INT64_C(2) << 30);
    assert_string_equal(w[1].server->gpu->name, "L4");
    /* One item each, and no tokens of the profile's. */
    assert_int_equal(w[1].traffic.prompt.fixed_tok, 1);
    assert_int_equal(w[1].traffic.output.kind, TR_LENGTH_FIXED);
    assert_int_equal(w[1].traffic.n_spikes, 12);
    tr_scenario_free(s);
}

#define SAME(a, b, member) assert_true((a).member == (b).member)

static void same_rules(const struct tr_hpa_rules *a, const struct tr_hpa_rules *b)
{
    SAME(*a, *b, window_ns);
    SAME(*a, *b, select);
    SAME(*a, *b, pods);
    SAME(*a, *b, percent);
    SAME(*a, *b, pods_period_ns);
    SAME(*a, *b, percent_period_ns);
}

/* What a file says nothing of is as Kubernetes, KEDA and the cluster autoscaler come. */
static void scaling_as_it_comes(void **state)
{
    struct tr_scenario *s = parse_with("name: t\n", "name: t\n");
    struct tr_scaling scaling;

    (void)state;
    tr_scaling_defaults(&scaling, 0, s->nodes_max);
    assert_true(s->autoscale);
    SAME(s->autoscaler, scaling.autoscaler, scan_ns);
    SAME(s->autoscaler, scaling.autoscaler, frequent_loops);
    SAME(s->autoscaler, scaling.autoscaler, unneeded_ns);
    SAME(s->autoscaler, scaling.autoscaler, delay_after_add_ns);
    SAME(s->autoscaler, scaling.autoscaler, delay_after_delete_ns);
    SAME(s->autoscaler, scaling.autoscaler, delay_after_failure_ns);
    SAME(s->autoscaler, scaling.autoscaler, gpu_utilization);
    SAME(s->autoscaler, scaling.autoscaler, provision_max_ns);
    SAME(s->autoscaler, scaling.autoscaler, backoff_ns);
    SAME(s->autoscaler, scaling.autoscaler, backoff_max_ns);
    SAME(s->autoscaler, scaling.autoscaler, grace_ns);
    SAME(s->autoscaler, scaling.autoscaler, taint_ns);
    SAME(s->autoscaler, scaling.autoscaler, max_bulk);
    SAME(s->autoscaler, scaling.autoscaler, min_nodes);
    SAME(s->autoscaler, scaling.autoscaler, max_nodes);
    SAME(s->node_life, scaling.node, vm_ns);
    SAME(s->node_life, scaling.node, driver_ns);
    SAME(s->node_life, scaling.node, image_ns);
    SAME(s->node_life, scaling.node, deallocate);
    SAME(s->node_life, scaling.node, vm_again_ns);
    SAME(s->node_life, scaling.node, stockout);
    SAME(s->node_life, scaling.node, interrupts_per_h);
    SAME(s->workload.hpa, scaling.hpa, metric);
    SAME(s->workload.hpa, scaling.hpa, target);
    SAME(s->workload.hpa, scaling.hpa, external);
    SAME(s->workload.hpa, scaling.hpa, min_replicas);
    SAME(s->workload.hpa, scaling.hpa, max_replicas);
    SAME(s->workload.hpa, scaling.hpa, sync_ns);
    SAME(s->workload.hpa, scaling.hpa, scrape_ns);
    SAME(s->workload.hpa, scaling.hpa, tolerance);
    SAME(s->workload.hpa, scaling.hpa, stabilization_ns);
    SAME(s->workload.hpa, scaling.hpa, has_behavior);
    same_rules(&s->workload.hpa.up, &scaling.hpa.up);
    same_rules(&s->workload.hpa.down, &scaling.hpa.down);
    SAME(s->workload.keda, scaling.keda, on);
    SAME(s->workload.keda, scaling.keda, polling_ns);
    SAME(s->workload.keda, scaling.keda, cooldown_ns);
    SAME(s->workload.keda, scaling.keda, activation);
    SAME(s->workload.pod_life, scaling.pod, weights_ns);
    SAME(s->workload.pod_life, scaling.pod, warm_ns);
    SAME(s->workload.pod_life, scaling.pod, grace_ns);
    assert_int_equal(s->n_unneeded, 2);
    assert_int_equal(s->unneeded_ns[0], scaling.autoscaler.unneeded_ns);
    assert_int_equal(s->unneeded_ns[1], 180 * TR_NS_PER_S);
    tr_scenario_free(s);

    s = parse_with("  nodes: {min: 1, max: 4}\n", "  nodes: {min: 4, max: 4}\n");
    assert_false(s->autoscale);
    tr_scenario_free(s);
    s = parse_with("  nodes: {min: 1, max: 4}\n", "  autoscaler: none\n");
    assert_false(s->autoscale);
    tr_scenario_free(s);
}

static void scaling_as_described(void **state)
{
    struct tr_scenario *s = parse_with(
        "  nodes: {min: 1, max: 4}\nworkloads:\n  - name: chat\n",
        "  nodes: {min: 0, max: 9}\n"
        "  autoscaler: {scan_interval: 20s, scale_down_unneeded_time: 5m,\n"
        "               scale_down_delay_after_add: 0s, scale_down_delay_after_delete: 20s,\n"
        "               scale_down_delay_after_failure: 1m, max_node_provision_time: 20m,\n"
        "               scale_down_gpu_utilization_threshold: 60%,\n"
        "               initial_node_group_backoff_duration: 1m,\n"
        "               max_node_group_backoff_duration: 2m, max_graceful_termination_sec: 30}\n"
        "  node_life: {vm: 4m, driver: 3m, image_pull: 90s, scale_down_mode: Deallocate,\n"
        "              vm_again: 45s, stockout: 5%}\n"
        "workloads:\n"
        "  - name: chat\n"
        "    trust: office\n"
        "    priority: 2\n"
        "    guaranteed: true\n"
        "    startup: {weights: 20s, grace: 130s}\n"
        "    autoscaling:\n"
        "      metric: kv\n"
        "      target: 0.7\n"
        "      max_replicas: 8\n"
        "      hpa:\n"
        "        sync_period: 5s\n"
        "        scrape_interval: 30s\n"
        "        tolerance: 0.05\n"
        "        downscale_stabilization: 60s\n"
        "        behavior:\n"
        "          scaleUp: {policies: [{type: Percent, value: 50, periodSeconds: 30}],\n"
        "                    selectPolicy: Min, stabilizationWindowSeconds: 15}\n"
        "          scaleDown: {selectPolicy: Disabled}\n"
        "      keda: {pollingInterval: 10, activationThreshold: 3}\n");
    const struct tr_workload *w = &s->workload;

    (void)state;
    assert_true(s->autoscale);
    assert_int_equal(s->autoscaler.scan_ns, 20 * TR_NS_PER_S);
    assert_int_equal(s->n_unneeded, 1);
    assert_int_equal(s->autoscaler.unneeded_ns, 300 * TR_NS_PER_S);
    assert_int_equal(s->autoscaler.delay_after_add_ns, 0);
    assert_int_equal(s->autoscaler.delay_after_delete_ns, 20 * TR_NS_PER_S);
    assert_int_equal(s->autoscaler.delay_after_failure_ns, 60 * TR_NS_PER_S);
    assert_float_equal(s->autoscaler.gpu_utilization, 0.6, 0);
    assert_int_equal(s->autoscaler.provision_max_ns, 1200 * TR_NS_PER_S);
    assert_int_equal(s->autoscaler.backoff_ns, 60 * TR_NS_PER_S);
    assert_int_equal(s->autoscaler.backoff_max_ns, 120 * TR_NS_PER_S);
    assert_int_equal(s->autoscaler.grace_ns, 30 * TR_NS_PER_S);
    assert_int_equal(s->autoscaler.min_nodes, 0);
    assert_int_equal(s->autoscaler.max_nodes, 9);
    assert_int_equal(s->node_life.vm_ns, 240 * TR_NS_PER_S);
    assert_int_equal(s->node_life.driver_ns, 180 * TR_NS_PER_S);
    assert_int_equal(s->node_life.image_ns, 90 * TR_NS_PER_S);
    assert_int_equal(s->node_life.vm_again_ns, 45 * TR_NS_PER_S);
    assert_true(s->node_life.deallocate);
    assert_float_equal(s->node_life.stockout, 0.05, 0);
    assert_string_equal(w->trust, "office");
    assert_int_equal(w->priority, 2);
    assert_true(w->guaranteed);
    assert_int_equal(w->pod_life.weights_ns, 20 * TR_NS_PER_S);
    assert_int_equal(w->pod_life.warm_ns, -1);
    assert_int_equal(w->pod_life.grace_ns, 130 * TR_NS_PER_S);
    assert_int_equal(w->hpa.metric, TR_SCALE_KV);
    assert_float_equal(w->hpa.target, 0.7, 0);
    assert_int_equal(w->hpa.min_replicas, 0); /* KEDA's own */
    assert_int_equal(w->hpa.max_replicas, 8);
    assert_int_equal(w->hpa.sync_ns, 5 * TR_NS_PER_S);
    assert_int_equal(w->hpa.scrape_ns, 30 * TR_NS_PER_S);
    assert_float_equal(w->hpa.tolerance, 0.05, 0);
    assert_true(w->hpa.has_behavior);
    assert_int_equal(w->hpa.up.select, TR_HPA_MIN);
    assert_int_equal(w->hpa.up.window_ns, 15 * TR_NS_PER_S);
    assert_int_equal(w->hpa.up.percent, 50);
    assert_int_equal(w->hpa.up.percent_period_ns, 30 * TR_NS_PER_S);
    assert_int_equal(w->hpa.up.pods_period_ns, 0); /* the list takes the place of the default */
    assert_int_equal(w->hpa.down.select, TR_HPA_DISABLED);
    assert_int_equal(w->hpa.down.percent_period_ns, 15 * TR_NS_PER_S);
    assert_int_equal(w->hpa.down.window_ns, 60 * TR_NS_PER_S); /* downscale_stabilization */
    assert_true(w->keda.on && w->hpa.external);
    assert_int_equal(w->keda.polling_ns, 10 * TR_NS_PER_S);
    assert_int_equal(w->keda.cooldown_ns, 300 * TR_NS_PER_S);
    assert_float_equal(w->keda.activation, 3, 0);
    tr_scenario_free(s);
}

static void start_up_logs(void **state)
{
    struct tr_scenario *s;

    (void)state;
    s = parse_with("engine: {max_model_len: 8192}",
                   "engine:\n"
                   "      log: |\n"
                   "        INFO gpu_worker.py: GPU KV cache size: 1,000 tokens\n"
                   "        (EngineCore) INFO: GPU KV cache size: 456,384 tokens, Maximum "
                   "concurrency for 131,072 tokens per request: 3.48x\n");
    assert_int_equal(s->workload.engine.kv_tok, 456384);
    tr_scenario_free(s);
    s = parse_with("max_model_len: 8192", "log: '# GPU blocks: 27000, # CPU blocks: 512'");
    assert_int_equal(s->workload.engine.num_gpu_blocks, 27000);
    assert_int_equal(s->workload.engine.kv_tok, 0);
    tr_scenario_free(s);
}

/* ---- what is refused ------------------------------------------------------------------------ */

/* Takes \n for a line break. */
static void add_line(struct tr_str *out, const char *line)
{
    for (; *line; line++) {
        if (line[0] == '\\' && line[1] == 'n') {
            tr_str_add(out, "\n", 1);
            line++;
        } else {
            tr_str_add(out, line, 1);
        }
    }
}

static void build_case(const char *good, const char *from, const char *to, bool whole,
                       struct tr_str *out)
{
    struct tr_str piece = {0};
    const char *at = good + strlen(good);

    out->len = 0;
    add_line(&piece, from ? from : "");
    if (from)
        at = strstr(good, piece.text);
    assert_non_null(at);
    if (!whole)
        tr_str_add(out, good, (size_t)(at - good));
    add_line(out, to);
    if (!whole && from)
        tr_str_printf(out, "%s", at + piece.len);
    tr_str_free(&piece);
}

static void messages(void **state)
{
    size_t len;
    char *good = slurp(root_path("tests/golden/scenario/good.yaml"), &len);
    char *cases = slurp(root_path("tests/golden/scenario/errors.txt"), &len);
    char *from = NULL, *to = NULL;
    struct tr_str text = {0};
    bool whole = false;
    int n = 0;

    (void)state;
    tr_scenario_free(parse(good));
    for (char *line = cases, *next; *line; line = next) {
        char *end = line + strcspn(line, "\n");
        const char *value, *said;
        size_t want;

        next = end + (*end == '\n');
        *end = 0;
        value = line[0] && line[1] ? line + 2 : "";
        want = strlen(value);

        if (line[0] == '-') {
            from = line + 2;
        } else if (line[0] == '+' || line[0] == '*') {
            to = line[1] ? line + 2 : line + 1;
            whole = line[0] == '*';
        } else if (line[0] == '=') {
            build_case(good, from, to, whole, &text);
            said = problem("good.yaml", text.text, text.len);
            if (want > 3 && strcmp(value + want - 3, "...") == 0)
                want -= 3;
            else
                want++;
            if (strncmp(said, value, want) != 0)
                fail_msg("expected: %s\nsaid:     %s", value, said);
            from = NULL;
            n++;
        }
    }
    assert_true(n >= 100);
    tr_str_free(&text);
    free(good);
    free(cases);
}

static void every_prefix(void **state)
{
    static const char *const files[] = {"examples/aks-chatbot.yaml", "examples/claims.yaml"};
    int whole = 0;

    (void)state;
    for (size_t f = 0; f < TR_LEN(files); f++) {
        size_t len;
        char *text = slurp(root_path(files[f]), &len);

        for (size_t cut = 0; cut <= len; cut += f ? 7 : 1) { /* the seed at every byte */
            struct tr_scenario *s;
            struct tr_err err = {0};
            int rc = tr_scenario_parse("cut.yaml", text, cut, NULL, &s, &err);

            assert_true(rc == 0 || rc == TR_EINPUT);
            assert_int_equal(rc == 0, err.text[0] == 0);
            assert_null(strpbrk(err.text, "\n\r"));
            if (rc < 0)
                assert_memory_equal(err.text, "cut.yaml:", 9);
            whole += rc == 0;
            tr_scenario_free(s);
        }
        free(text);
    }
    assert_true(whole >= 1);
}

static void awkward_files(void **state)
{
    char path[] = "/tmp/tranche-scenario-XXXXXX";
    struct tr_scenario *s;
    struct tr_err err = {0};
    struct tr_str deep = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_string_equal(problem("e.yaml", "", 0), "e.yaml: the file is empty");
    for (int i = 0; i < 1000; i++)
        tr_str_printf(&deep, "{a: ");
    assert_string_equal(problem("d.yaml", deep.text, deep.len),
                        "d.yaml:1:257: nested more than 64 levels deep");
    tr_str_free(&deep);

    assert_int_equal(tr_scenario_load("/nowhere/s.yaml", NULL, &s, &err), TR_EINPUT);
    assert_null(s);
    assert_non_null(strstr(err.text, "/nowhere/s.yaml"));

    /* A line of 2 GB (a hole in a file: no disk, no memory). */
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)2 << 30), 0);
    close(fd);
    memset(&err, 0, sizeof(err));
    assert_int_equal(tr_scenario_load(path, NULL, &s, &err), TR_EINPUT);
    assert_non_null(strstr(err.text, path));
    unlink(path);
}

static void paths_are_beside_the_file(void **state)
{
    char dir[] = "/tmp/tranche-scenario-XXXXXX", path[64], want[256];
    size_t len;
    char *good = slurp(root_path("tests/golden/scenario/good.yaml"), &len), *at;
    struct tr_scenario *s;
    struct tr_err err = {0};
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s.yaml", dir);
    at = strstr(good, "llama-3.1-8b");
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%.*sm.json%s", (int)(at - good), good, at + strlen("llama-3.1-8b"));
    fclose(f);
    free(good);
    assert_int_equal(tr_scenario_load(path, NULL, &s, &err), TR_EINPUT);
    snprintf(want, sizeof(want), "%s:7:12: model: %s/m.json: no such file", path, dir);
    assert_string_equal(err.text, want);
    unlink(path);
    rmdir(dir);
}

/* ---- one table ------------------------------------------------------------------------------ */

static void keys_of_later_versions_are_refused(void **state)
{
    int n = 0;

    (void)state;
    for (const struct key *key = key_next(NULL); key; key = key_next(key)) {
        struct tr_str text = {0};
        char want[256];

        if (!(key->flags & KEY_LATER))
            continue;
        if (strncmp(key->path, "workloads[].engine.", 19) == 0)
            tr_str_printf(&text,
                          "workloads: [{model: llama-3.1-8b, slo: {ttft_p9: 1s}, traffic: "
                          "{profile: aks-chatbot}, engine: {\n%s: 1}}]\n",
                          key_name(key));
        else if (strncmp(key->path, "workloads[].", 12) == 0)
            tr_str_printf(&text, "workloads: [{\n%s: 1}]\n", key_name(key));
        else if (strncmp(key->path, "cluster.", 8) == 0)
            tr_str_printf(&text, "cluster: {\n%s: 1}\n", key_name(key));
        else
            tr_str_printf(&text, "#\n%s: 1\n", key_name(key));
        snprintf(want, sizeof(want), "s.yaml:2:1: '%s' is not supported yet: %s", key_name(key),
                 key->doc);
        assert_string_equal(problem("s.yaml", text.text, text.len), want);
        tr_str_free(&text);
        n++;
    }
    assert_true(n >= 5);
}

/* The map of the schema that holds a key, by its path; "[]" steps into the items of a list. */
static const struct tr_node *schema_of(const struct tr_node *root, const struct key *key)
{
    const struct tr_node *node = root;
    const char *path = key->path;

    while (node && *path) {
        size_t len = strcspn(path, ".");
        bool items = len > 2 && path[len - 1] == ']';
        const struct tr_node *any = tr_node_get(node, "anyOf");
        char word[64];

        snprintf(word, sizeof(word), "%.*s", (int)(items ? len - 2 : len), path);
        if (!tr_node_get(node, "properties") && any) /* a number or a map: the map */
            node = any->items[any->n - 1];
        if (strstr(word, "NN")) {
            const struct tr_node *patterns = tr_node_get(node, "patternProperties");

            node = NULL;
            for (size_t i = 0; patterns && i < patterns->n; i++)
                if (strncmp(patterns->keys[i]->text + 1, word, strlen(word) - 2) == 0)
                    node = patterns->items[i];
        } else {
            node = tr_node_get(tr_node_get(node, "properties"), word);
        }
        if (items)
            node = tr_node_get(node, "items");
        path += len + (path[len] == '.');
    }
    return node;
}

static void schema_has_every_key(void **state)
{
    struct tr_arena arena = {0};
    struct tr_str text = {0};
    struct tr_err err = {0};
    struct tr_node *root;

    (void)state;
    tr_scenario_json_schema(&text);
    if (tr_json_parse(&arena, "schema", text.text, text.len, &root, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(tr_node_get(root, "$schema")->text,
                        "https://json-schema.org/draft/2020-12/schema");
    assert_string_equal(tr_node_get(root, "additionalProperties")->text, "false");
    for (const struct key *key = key_next(NULL); key; key = key_next(key)) {
        const struct tr_node *node = schema_of(root, key);

        if (key->flags & KEY_LATER) {
            assert_null(node);
            continue;
        }
        if (!node)
            fail_msg("the schema has no %s", key->path);
        assert_string_equal(tr_node_get(node, "description")->text, key->doc);
        for (size_t k = 0; key->words && key->words[k]; k++)
            assert_string_equal(tr_node_get(node, "enum")->items[k]->text, key->words[k]);
        if (key->type == KEY_MAP && !(key->flags & KEY_OR_NONE))
            assert_string_equal(tr_node_get(node, "additionalProperties")->text, "false");
    }
    tr_str_free(&text);
    tr_arena_free(&arena);
}

/* TRANCHE_UPDATE=1 writes the page instead. */
static void reference_page_is_current(void **state)
{
    const char *path = root_path("docs/scenario.md");
    struct tr_str text = {0};
    size_t len;
    char *page;

    (void)state;
    tr_scenario_reference(&text);
    if (getenv("TRANCHE_UPDATE")) {
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        fputs(text.text, f);
        assert_int_equal(fclose(f), 0);
    }
    page = slurp(path, &len);
    if (strcmp(page, text.text) != 0)
        fail_msg("docs/scenario.md is not what src/scenario/keys*.c say; run this test with "
                 "TRANCHE_UPDATE=1 to write it anew");
    tr_str_free(&text);
    free(page);
}

static void defaults_are_those_documented(void **state)
{
    struct tr_scenario *s = load("tests/golden/scenario/good.yaml");
    struct tr_scenario written = *s;
    struct tr_workload workload = s->workloads[0];
    struct tr_err err = {0};
    struct reader r = {.s = &written, .dir = "", .err = &err};

    (void)state;
    /* Reading every constant default of the table over a file that gives none of them changes
     * nothing that it leaves out. */
    assert_int_equal(read_defaults(&r, &written, IN_SCENARIO, "isolation"), 0);
    assert_int_equal(read_defaults(&r, &written, IN_SCENARIO, "compare"), 0);
    assert_int_equal(read_defaults(&r, &workload, IN_WORKLOAD, "workloads[].engine."), 0);
    assert_int_equal(read_defaults(&r, &workload, IN_WORKLOAD, "workloads[].traffic.rate_scale"),
                     0);
    assert_int_equal(read_defaults(&r, &workload, IN_WORKLOAD, "workloads[].traffic.variant"), 0);
    assert_int_equal(read_defaults(&r, &workload, IN_WORKLOAD, "workloads[].traffic.modulation"),
                     0);
    assert_int_equal(read_defaults(&r, &workload, IN_WORKLOAD, "workloads[].slo."), 0);
    assert_memory_equal(&written, s, sizeof(*s));
    assert_memory_equal(&workload, s->workloads, sizeof(workload));
    tr_scenario_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chatbot),
        cmocka_unit_test(the_other_examples),
        cmocka_unit_test(claims),
        cmocka_unit_test(described_traffic),
        cmocka_unit_test(variants_of_traffic),
        cmocka_unit_test(several_workloads),
        cmocka_unit_test(prices_of_ones_own),
        cmocka_unit_test(simple_servers),
        cmocka_unit_test(scaling_as_it_comes),
        cmocka_unit_test(scaling_as_described),
        cmocka_unit_test(start_up_logs),
        cmocka_unit_test(messages),
        cmocka_unit_test(every_prefix),
        cmocka_unit_test(awkward_files),
        cmocka_unit_test(paths_are_beside_the_file),
        cmocka_unit_test(keys_of_later_versions_are_refused),
        cmocka_unit_test(schema_has_every_key),
        cmocka_unit_test(reference_page_is_current),
        cmocka_unit_test(defaults_are_those_documented),
    };

    return cmocka_run_group_tests_name("scenario", tests, NULL, NULL);
}
