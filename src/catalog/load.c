/* load: finds the catalog's files, compiled in or in the user's folder, and has them read. */
#include "catalog/load.h"
#include "catalog/embedded.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_FILE_BYTES ((size_t)16 << 20)

int tr_load_entry(struct tr_arena *arena, const char *kind, const struct tr_node *list, size_t i,
                  struct tr_entry *entry, struct tr_err *err)
{
    const struct tr_node *map = list->items[i];
    const struct tr_node *name = map->kind == TR_NODE_MAP ? tr_node_get(map, "name") : NULL;
    if (name == NULL || name->kind != TR_NODE_SCALAR || name->text[0] == '\0' ||
        strlen(name->text) > 47 || strpbrk(name->text, " \t\n,") != NULL)
        return tr_catalog_err(err, map,
                              "%s %zu of the list: needs a 'name' of 1 to 47 characters, without "
                              "spaces and commas",
                              kind, i + 1);
    for (size_t k = 0; k < i; k++)
        if (strcasecmp(tr_node_get(list->items[k], "name")->text, name->text) == 0)
            return tr_catalog_err(err, name, "%s %s: there is another one of this name", kind,
                                  name->text);
    *entry = (struct tr_entry){.arena = arena, .kind = kind, .name = name->text, .map = map};
    return TR_OK;
}

/* The text of one file: the user's if the folder has it, else the one compiled in. */
static int open_file(struct tr_arena *arena, const char *dir, const char *name, const char **label,
                     char **owned, const char **text, size_t *len, struct tr_err *err)
{
    if (dir != NULL) {
        struct stat st;
        *label = tr_arena_printf(arena, "%s/%s", dir, name);
        if (stat(*label, &st) == 0 || errno != ENOENT) {
            int rc = tr_file_read(*label, MAX_FILE_BYTES, owned, len, err);
            *text = *owned;
            return rc;
        }
    }
    for (size_t i = 0; i < tr_n_embedded_files; i++) {
        if (strcmp(tr_embedded_files[i].name, name) == 0) {
            *label = tr_arena_printf(arena, "catalog/%s", name);
            *text = tr_embedded_files[i].data;
            *len = tr_embedded_files[i].len;
            return TR_OK;
        }
    }
    return tr_err_set(err, TR_EBUG, "catalog: %s is not compiled in", name);
}

static int check_dir(const char *dir, struct tr_err *err)
{
    struct stat st;
    if (dir == NULL)
        return TR_OK;
    if (stat(dir, &st) != 0)
        return tr_err_set(err, TR_EINPUT,
                          "%s: %s; a catalog is a folder with gpus.yaml, "
                          "models.yaml, precisions.yaml, nodes.yaml or servers.yaml",
                          dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return tr_err_set(err, TR_EINPUT,
                          "%s: is no folder; a catalog is a folder with gpus.yaml, "
                          "models.yaml, precisions.yaml, nodes.yaml or servers.yaml",
                          dir);
    return TR_OK;
}

int tr_catalog_file(struct tr_arena *arena, const char *dir, const char *name,
                    struct tr_node **root, struct tr_err *err)
{
    const char *label = NULL, *text = NULL;
    char *owned = NULL;
    size_t len = 0;
    int rc = open_file(arena, dir, name, &label, &owned, &text, &len, err);
    if (rc == TR_OK)
        rc = tr_yaml_parse(arena, label, text, len, root, err);
    free(owned);
    return rc;
}

int tr_catalog_load(const char *dir, struct tr_catalog **out, struct tr_err *err)
{
    /* In this order: node types and servers name a GPU. */
    static const struct {
        const char *name;
        int (*load)(struct tr_catalog *cat, const struct tr_node *root, struct tr_err *err);
    } files[] = {
        {"gpus.yaml", tr_load_gpus},
        {"models.yaml", tr_load_models},
        {"precisions.yaml", tr_load_precisions},
        {"nodes.yaml", tr_load_nodes},
        {"servers.yaml", tr_load_servers},
    };
    struct tr_catalog *cat = tr_calloc(1, sizeof *cat);
    int rc = check_dir(dir, err);
    for (size_t i = 0; i < TR_LEN(files) && rc == TR_OK; i++) {
        struct tr_node *root = NULL;
        rc = tr_catalog_file(&cat->arena, dir, files[i].name, &root, err);
        if (rc == TR_OK)
            rc = files[i].load(cat, root, err);
    }
    if (rc != TR_OK) {
        tr_catalog_free(cat);
        return rc;
    }
    *out = cat;
    return TR_OK;
}

void tr_catalog_free(struct tr_catalog *cat)
{
    if (cat == NULL)
        return;
    struct tr_arena arena = cat->arena; /* everything but the struct itself lives in it */
    tr_arena_free(&arena);
    free(cat);
}
