/* Runs a fuzz target over files: those named, those in named folders, or standard input. Stands in
 * for libFuzzer's main() where the compiler has none, and shows a crash again without it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define MAX_SIZE (16u << 20)

static unsigned n_inputs;

static void run_stream(FILE *from)
{
    uint8_t *all = malloc(MAX_SIZE);
    if (!all)
        abort();
    size_t size = fread(all, 1, MAX_SIZE, from);
    /* A block of its exact size, so that a read past its end is seen. */
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    memcpy(exact, all, size);
    free(all);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    n_inputs++;
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    run_stream(file);
    fclose(file);
}

static void run_path(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        run_file(path);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) < (int)sizeof(name))
            run_file(name);
    }
    closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-') /* options of libFuzzer */
            run_path(argv[i]);
    if (argc < 2)
        run_stream(stdin);
    printf("%u inputs\n", n_inputs);
    return 0;
}
