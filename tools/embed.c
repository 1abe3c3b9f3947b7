/* embed: turns data files into one C source that holds their bytes.
 *
 *     embed OUT.c FILE...
 *
 * Each file becomes an entry {name, bytes, length} of tr_embedded_files, under its base name. The
 * build runs this on catalog/ *.yaml, so that the program needs no data files beside it. Byte
 * arrays and not string literals: C compilers need not accept literals over 4095 characters.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int fail(const char *path)
{
    fprintf(stderr, "embed: %s: %s\n", path, strerror(errno));
    return 1;
}

static int embed_file(FILE *out, const char *path, int index)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        return fail(path);
    fprintf(out, "static const unsigned char file_%d[] = {", index);
    long n = 0;
    for (int c = fgetc(in); c != EOF; c = fgetc(in), n++)
        fprintf(out, "%s%d,", n % 20 == 0 ? "\n    " : "", c);
    fprintf(out, "\n    0};\n\n"); /* terminated, so that the bytes are a C string too */
    int failed = ferror(in);
    fclose(in);
    return failed ? fail(path) : 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: embed OUT.c FILE...\n");
        return 2;
    }
    FILE *out = fopen(argv[1], "w");
    if (out == NULL)
        return fail(argv[1]);
    fprintf(out, "/* Made by tools/embed.c from the files named below. */\n"
                 "#include \"catalog/embedded.h\"\n\n");
    for (int i = 2; i < argc; i++)
        if (embed_file(out, argv[i], i) != 0)
            return 1;
    fprintf(out, "const struct tr_embedded tr_embedded_files[] = {\n");
    for (int i = 2; i < argc; i++)
        fprintf(out, "    {\"%s\", (const char *)file_%d, sizeof file_%d - 1},\n",
                base_name(argv[i]), i, i);
    fprintf(out, "};\nconst size_t tr_n_embedded_files = %d;\n", argc - 2);
    int failed = ferror(out);
    if (fclose(out) != 0 || failed)
        return fail(argv[1]);
    return 0;
}
