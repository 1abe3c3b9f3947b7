/* Replays a fuzz corpus without a fuzzing engine: every file of the folder given as argument goes
 * through LLVMFuzzerTestOneInput, and so do the empty input and truncated prefixes of a small
 * file, since a reader must survive a file that was cut off anywhere. Built with any compiler and
 * any sanitizer. Each file is named before it is fed, so that after a crash the last name tells. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES   (16u << 20)
#define MAX_PREFIX_BYTES 4096u
#define MAX_PREFIXES     96u /* of one file, evenly spread, and it whole */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly `size` bytes, so that AddressSanitizer sees a read past the end. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(MAX_FILE_BYTES);
    if (!file || !data) {
        perror(path);
        exit(1);
    }
    *size = fread(data, 1, MAX_FILE_BYTES, file);
    fclose(file);
    return data;
}

/* Returns how many inputs the file gave. */
static size_t replay(const char *path)
{
    size_t size;
    uint8_t *data = read_file(path, &size);
    size_t shortest = size <= MAX_PREFIX_BYTES ? 0 : size;
    size_t stride = (size - shortest) / MAX_PREFIXES + 1, n_inputs = 1;
    fprintf(stderr, "%s, the first %zu to %zu bytes\n", path, shortest, size);
    for (size_t cut = shortest; cut < size; cut += stride, n_inputs++)
        feed(data, cut);
    feed(data, size);
    free(data);
    return n_inputs;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    struct dirent **entries;
    int n_files = scandir(argv[1], &entries, is_visible, alphasort);
    if (n_files <= 0) {
        fprintf(stderr, "%s: no corpus: the folder is missing or empty\n", argv[1]);
        return 1;
    }
    feed((const uint8_t *)"", 0);
    size_t n_inputs = 1;
    for (int i = 0; i < n_files; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        n_inputs += replay(path);
        free(entries[i]);
    }
    free(entries);
    printf("replayed %zu inputs made from %d files\n", n_inputs, n_files);
    return 0;
}
