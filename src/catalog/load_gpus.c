/* load_gpus: reads gpus.yaml: the constants of each GPU and how it can be cut by MIG. */
#include "catalog/load.h"

#include <strings.h>

#define GPU(key, type, member, ...)                                                                \
    {                                                                                              \
        key, type, offsetof(struct tr_gpu, member), __VA_ARGS__                                    \
    }
#define US .div = 1e6 /* microseconds in the file, seconds in the struct */

/* Order is the order in which `tranche catalog gpus NAME` prints the sources. */
static const struct tr_field gpu_fields[] = {
    GPU("name", TR_FIELD_TEXT, name, .required = true),
    GPU("aliases", TR_FIELD_TEXT, aliases, .required = false),
    GPU("arch", TR_FIELD_TEXT, arch, .required = true),
    GPU("peak_tflops", TR_FIELD_NUMBER, peak_flops, true, true, 1, 1e5, .mul = 1e12),
    GPU("bandwidth_gb_s", TR_FIELD_NUMBER, bandwidth, true, true, 1, 1e6, .mul = 1e9),
    GPU("sms", TR_FIELD_INT, sms, true, true, 1, 10000),
    GPU("memory", TR_FIELD_BYTES, mem_bytes, true, true),
    GPU("fp8_tensor", TR_FIELD_BOOL, fp8_tensor, true, true),
    GPU("ec", TR_FIELD_NUMBER, ec, true, true, 0.01, 1),
    GPU("ec_alone", TR_FIELD_NUMBER, ec_alone, true, true, 0.01, 1),
    GPU("eb", TR_FIELD_NUMBER, eb, true, true, 0.01, 1),
    GPU("ead", TR_FIELD_NUMBER, ead, true, true, 0.01, 1),
    GPU("eap", TR_FIELD_NUMBER, eap, true, true, 0.01, 1),
    GPU("s0_tokens", TR_FIELD_NUMBER, s0, true, true, 0, 1e5),
    GPU("tg_us", TR_FIELD_NUMBER, tg_s, true, true, 0, 1e4, US),
    GPU("tl_us", TR_FIELD_NUMBER, tl_s, true, true, 0, 1e4, US),
    GPU("ta_ns", TR_FIELD_NUMBER, ta_s, true, true, 0, 1e6, .div = 1e9),
    GPU("tq_us", TR_FIELD_NUMBER, tq_s, true, true, 0, 1e4, US),
    GPU("host_async_us", TR_FIELD_NUMBER, host_async_s, true, true, 0, 1e6, US),
    GPU("seq_async_us", TR_FIELD_NUMBER, seq_async_s, true, true, 0, 1e5, US),
    GPU("quantum_us", TR_FIELD_NUMBER, quantum_s, true, true, 1, 1e6, US),
    GPU("switch_us", TR_FIELD_NUMBER, switch_s, true, true, 0, 1e6, US),
    {"standing", TR_FIELD_OTHER, 0, .required = true},
    GPU("error", TR_FIELD_FRACTION, error, true, true),
    GPU("max_num_batched_tokens", TR_FIELD_INT, max_num_batched_tokens, true, true, 1, 1e6),
    GPU("max_num_seqs", TR_FIELD_INT, max_num_seqs, true, true, 1, 1e5),
    {"mig", TR_FIELD_OTHER, 0, .required = false},
    {"sources", TR_FIELD_OTHER, 0, .required = true},
};

#define PROFILE(key, type, member, ...)                                                            \
    {                                                                                              \
        key, type, offsetof(struct tr_mig_profile, member), __VA_ARGS__                            \
    }

/* What a geometry says of a shape, the same on every GPU of a class. */
static const struct tr_field shape_fields[] = {
    {"starts", TR_FIELD_OTHER, 0, .required = true},
    PROFILE("compute_slices", TR_FIELD_INT, compute_slices, true, false, 1, 16),
    PROFILE("mem_slots", TR_FIELD_INT, mem_slots, true, false, 1, 16),
    PROFILE("max_count", TR_FIELD_INT, max_count, true, false, 1, 16),
    PROFILE("media", TR_FIELD_BOOL, media, .required = false),
    {"double_memory", TR_FIELD_OTHER, 0, .required = false},
};

/* What a GPU adds to it. */
static const struct tr_field profile_fields[] = {
    PROFILE("name", TR_FIELD_TEXT, name, .required = true),
    {"shape", TR_FIELD_OTHER, 0, .required = true},
    PROFILE("sms", TR_FIELD_INT, sms, true, false, 1, 10000),
    PROFILE("memory", TR_FIELD_BYTES, mem_bytes, .required = true),
    PROFILE("source", TR_FIELD_TEXT, source, .required = false),
};

struct slots {
    int mem, compute;
};
static const struct tr_field slot_fields[] = {
    {"mem_slots", TR_FIELD_INT, offsetof(struct slots, mem), true, false, 1, 16},
    {"compute_slices", TR_FIELD_INT, offsetof(struct slots, compute), true, false, 1, 16},
    {"shapes", TR_FIELD_OTHER, 0, .required = true},
    {"source", TR_FIELD_OTHER, 0, .required = true},
};

static int read_starts(const struct tr_node *shape, const struct slots *slots,
                       struct tr_mig_profile *out, struct tr_err *err)
{
    struct tr_node *list = NULL;
    int rc = tr_fields_child(shape, "starts", TR_NODE_LIST, &list, err);
    if (rc != TR_OK)
        return rc;
    if (list->n > TR_MAX_STARTS)
        return tr_catalog_err(err, list, "at most %d starts", TR_MAX_STARTS);
    for (size_t i = 0; i < list->n; i++) {
        int64_t start = -1;
        const struct tr_node *item = list->items[i];
        if (item->kind != TR_NODE_SCALAR || tr_units_integer(item->text, &start, NULL) != TR_OK ||
            start + out->mem_slots > slots->mem)
            return tr_catalog_err(err, item, "a start is a slot from 0 to %d for a shape of %d",
                                  slots->mem - out->mem_slots, out->mem_slots);
        out->starts[i] = (int)start;
    }
    out->n_starts = (int)list->n;
    return TR_OK;
}

/* Reads one profile: first its shape from the geometry, then what the GPU adds. */
static int read_profile(struct tr_arena *arena, const struct tr_node *shapes,
                        const struct slots *slots, const struct tr_node *list, size_t i,
                        const char *source, struct tr_mig_profile *out, struct tr_err *err)
{
    struct tr_entry entry;
    int rc = tr_load_entry(arena, "MIG profile", list, i, &entry, err);
    if (rc == TR_OK && strlen(entry.name) > TR_MAX_PROFILE_NAME)
        rc = tr_catalog_err(err, entry.map, "MIG profile %s: a name has at most %d letters",
                            entry.name, TR_MAX_PROFILE_NAME);
    out->source = source;
    if (rc == TR_OK)
        rc = tr_fields_read(&entry, profile_fields, TR_LEN(profile_fields), out, err);
    if (rc != TR_OK)
        return rc;
    const struct tr_node *name = tr_node_get(entry.map, "shape");
    const struct tr_node *map =
        name->kind == TR_NODE_SCALAR ? tr_node_get(shapes, name->text) : NULL;
    if (map == NULL)
        return tr_catalog_err(err, name, "MIG profile %s: the geometry has no such shape",
                              entry.name);
    entry.map = map;
    rc = tr_fields_read(&entry, shape_fields, TR_LEN(shape_fields), out, err);
    if (rc == TR_OK)
        rc = read_starts(map, slots, out, err);
    out->plain = !out->media && tr_node_get(map, "double_memory") == NULL;
    return rc;
}

static int read_mig(struct tr_arena *arena, const struct tr_node *root, const struct tr_node *mig,
                    struct tr_gpu *gpu, struct tr_err *err)
{
    struct tr_node *geometries = NULL, *list = NULL, *shapes = NULL;
    int rc = tr_fields_child(root, "geometries", TR_NODE_MAP, &geometries, err);
    if (rc == TR_OK)
        rc = tr_fields_child(mig, "profiles", TR_NODE_LIST, &list, err);
    if (rc != TR_OK)
        return rc;
    const struct tr_node *name = tr_node_get(mig, "geometry"), *source = tr_node_get(mig, "source");
    const struct tr_node *geometry = NULL;
    if (name != NULL && name->kind == TR_NODE_SCALAR)
        geometry = tr_node_get(geometries, name->text);
    if (geometry == NULL)
        return tr_catalog_err(err, mig, "GPU %s: 'mig' needs the name of a geometry", gpu->name);
    if (source == NULL || source->kind != TR_NODE_SCALAR)
        return tr_catalog_err(err, mig, "GPU %s: 'mig' needs a source", gpu->name);
    if (list->n > TR_MAX_PROFILES)
        return tr_catalog_err(err, list, "GPU %s: at most %d MIG profiles", gpu->name,
                              TR_MAX_PROFILES);
    struct slots slots = {0};
    struct tr_entry entry = {arena, "geometry", name->text, geometry, false};
    rc = tr_fields_read(&entry, slot_fields, TR_LEN(slot_fields), &slots, err);
    if (rc == TR_OK)
        rc = tr_fields_child(geometry, "shapes", TR_NODE_MAP, &shapes, err);
    gpu->mem_slots = slots.mem;
    gpu->compute_slices = slots.compute;
    const char *text = tr_arena_strdup(arena, source->text);
    for (size_t i = 0; i < list->n && rc == TR_OK; i++)
        rc = read_profile(arena, shapes, &slots, list, i, text, &gpu->profiles[i], err);
    gpu->n_profiles = (int)list->n;
    return rc;
}

static int read_standing(const struct tr_node *map, struct tr_gpu *gpu, struct tr_err *err)
{
    static const char *const names[] = {"measured", "operators", "estimate"};
    const struct tr_node *node = tr_node_get(map, "standing");
    for (size_t i = 0; i < TR_LEN(names); i++) {
        if (node->kind == TR_NODE_SCALAR && strcmp(node->text, names[i]) == 0) {
            gpu->standing = (enum tr_standing)i;
            return TR_OK;
        }
    }
    return tr_catalog_err(err, node, "GPU %s: standing must be measured, operators or estimate",
                          gpu->name);
}

int tr_load_gpus(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err)
{
    struct tr_node *list = NULL;
    int rc = tr_fields_child(root, "gpus", TR_NODE_LIST, &list, err);
    if (rc != TR_OK)
        return rc;
    cat->gpus = TR_ARENA_NEW(&cat->arena, struct tr_gpu, list->n);
    cat->n_gpus = list->n;
    for (size_t i = 0; i < list->n && rc == TR_OK; i++) {
        struct tr_gpu *gpu = &cat->gpus[i];
        struct tr_entry entry;
        rc = tr_load_entry(&cat->arena, "GPU", list, i, &entry, err);
        if (rc == TR_OK)
            rc = tr_fields_read(&entry, gpu_fields, TR_LEN(gpu_fields), gpu, err);
        if (rc == TR_OK)
            rc = tr_fields_sources(&entry, gpu_fields, TR_LEN(gpu_fields), &gpu->sources, err);
        if (rc == TR_OK)
            rc = read_standing(entry.map, gpu, err);
        gpu->mps_sharpness = TR_MPS_SHARPNESS;
        const struct tr_node *mig = rc == TR_OK ? tr_node_get(entry.map, "mig") : NULL;
        if (mig != NULL)
            rc = read_mig(&cat->arena, root, mig, gpu, err);
    }
    return rc;
}
