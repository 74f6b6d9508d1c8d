/* AWS's own files: see aws_files.h. They are INI files as botocore reads them: names of settings in
 * any case, '=' or ':', comments on lines of their own, indented lines belong to the one before. */
#include "cloud/aws_files.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reader.h"
#include "base/str.h"
#include "cloud/http.h"

#define FILE_MAX_    (1u << 20)
#define SETTINGS_MAX 8192
#define PATH_SIZE    4096

struct setting {
    enum aws_file file;
    char *section; /* "profile NAME"; owned, as all three */
    char *key;     /* in lower case; "BLOCK.KEY" in a block */
    char *value;
};

struct aws_files {
    struct setting *settings;
    size_t n_settings;
    char path[AWS_FILES][PATH_SIZE];
    int trouble[AWS_FILES]; /* errno */
    bool is_open[AWS_FILES];
};

/* ---- reading files ---- */

void aws_text_forget(struct text *text)
{
    if (text->at)
        explicit_bzero(text->at, text->capacity);
    text_done(text);
}

int aws_file_read(const char *path, size_t max, struct text *out, struct err *err)
{
    char *bytes = malloc(max + 1);
    size_t size = 0;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int result = !bytes ? -ENOMEM : fd < 0 ? -errno : 0;
    text_init(out, max);
    while (result == 0 && n > 0) {
        n = read(fd, bytes + size, max + 1 - size);
        if (n < 0 && errno != EINTR)
            result = -errno;
        size += n > 0 ? (size_t)n : 0;
        n = n < 0 ? 1 : n; /* interrupted */
        if (size > max)
            result = -EFBIG;
    }
    if (result == 0)
        text_add(out, bytes, size); /* at once, so that it does not move and leave copies */
    if (fd >= 0)
        (void)close(fd);
    if (bytes)
        explicit_bzero(bytes, size);
    free(bytes);
    if (result == 0 && out->failed)
        result = -ENOMEM;
    if (result == 0 && out->at && strlen(out->at) != out->size)
        result = -EILSEQ; /* a NUL: no text */
    if (result < 0) {
        aws_text_forget(out);
        return err_set(err, result, "%s: %s", path, strerror(-result));
    }
    return 0;
}

bool aws_home(const struct aws_env *env, char *out, size_t size)
{
    const char *home = aws_env_get(env, "HOME");
    char text[2048];
    struct passwd entry, *found = NULL;
    if (!home && getpwuid_r(getuid(), &entry, text, sizeof text, &found) == 0 && found)
        home = found->pw_dir;
    int len = home && *home == '/' ? snprintf(out, size, "%s", home) : -1;
    return len > 0 && (size_t)len < size;
}

/* ---- what they say ---- */

struct aws_files *aws_files_new(void)
{
    struct aws_files *files = calloc(1, sizeof *files);
    if (files)
        files->settings = calloc(SETTINGS_MAX, sizeof *files->settings);
    if (files && files->settings)
        return files;
    free(files);
    return NULL;
}

void aws_files_free(struct aws_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < files->n_settings; i++) {
        free(files->settings[i].section);
        free(files->settings[i].key);
        cloud_forget(files->settings[i].value);
    }
    free(files->settings);
    free(files);
}

static struct str trimmed(struct str s)
{
    while (s.len > 0 && (s.at[s.len - 1] == '\r' || s.at[s.len - 1] == '\f'))
        s.len--;
    return str_trim(s);
}

static struct str next_line(struct reader *r)
{
    const void *end = memchr(r->at, '\n', rd_left(r));
    size_t len = end ? (size_t)((const uint8_t *)end - r->at) : rd_left(r);
    struct str line = str_make(r->at, len);
    rd_skip(r, len + (end ? 1 : 0));
    return line;
}

/* The last one counts, as if the file had been written on. */
static bool put(struct aws_files *files, enum aws_file file, const char *section, const char *block,
                struct str key, struct str value)
{
    struct setting setting = {.file = file, .section = strdup(section)};
    size_t size = strlen(block) + key.len + 2;
    if (files->n_settings == SETTINGS_MAX) {
        free(setting.section);
        return false;
    }
    setting.key = malloc(size);
    setting.value = strndup(value.len ? value.at : "", value.len);
    if (!setting.section || !setting.key || !setting.value) {
        free(setting.section);
        free(setting.key);
        cloud_forget(setting.value);
        return false;
    }
    (void)snprintf(setting.key, size, "%s%s%.*s", block, *block ? "." : "", (int)key.len, key.at);
    for (char *at = setting.key; *at; at++)
        *at = str_lower_char(*at);
    files->settings[files->n_settings++] = setting;
    return true;
}

/* A value goes on in the next line. */
static bool lengthen(struct setting *setting, struct str more)
{
    size_t len = strlen(setting->value);
    char *value = malloc(len + more.len + 2);
    if (!value)
        return false;
    memcpy(value, setting->value, len);
    value[len] = '\n';
    memcpy(value + len + 1, more.at, more.len);
    value[len + 1 + more.len] = '\0';
    cloud_forget(setting->value);
    setting->value = value;
    return true;
}

/* "[profile web]" in one file and "[web]" in the other are "profile web"; a section that is nothing
 * to us is "". False: that is no section. */
static bool read_section(struct str line, enum aws_file file, char *out, size_t size)
{
    static const char *const kinds[] = {"profile", "sso-session", "services"};
    const char *end = memrchr(line.at, ']', line.len);
    if (!end)
        return false;
    struct str name = trimmed(str_make(line.at + 1, (size_t)(end - line.at) - 1));
    *out = '\0';
    if (file == AWS_FILE_CREDENTIALS || str_eq(name, STR("default"))) {
        (void)snprintf(out, size, "profile %.*s", (int)name.len, name.at);
        return name.len > 0 && name.len + 9 < size;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct str kind = str_c(kinds[i]), rest = str_from(name, kind.len);
        if (!str_starts(name, kind) || rest.len == 0 || (rest.at[0] != ' ' && rest.at[0] != '\t'))
            continue;
        rest = str_trim(rest);
        if (rest.len >= 2 && (rest.at[0] == '"' || rest.at[0] == '\'') &&
            rest.at[rest.len - 1] == rest.at[0])
            rest = str_make(rest.at + 1, rest.len - 2);
        int len = snprintf(out, size, "%s %.*s", kinds[i], (int)rest.len, rest.at);
        return len > 0 && (size_t)len < size;
    }
    return true;
}

/* KEY = VALUE, or KEY: VALUE. */
static bool split_setting(struct str line, struct str *out_key, struct str *out_value)
{
    uint32_t len = 0;
    while (len < line.len && line.at[len] != '=' && line.at[len] != ':')
        len++;
    *out_key = trimmed(str_upto(line, len));
    *out_value = trimmed(str_from(line, (size_t)len + 1));
    return len < line.len && out_key->len > 0;
}

struct place {
    struct aws_files *files;
    enum aws_file file;
    char section[300]; /* "": nothing of ours */
    char block[64];    /* "": none */
    bool in_section, has_setting;
};

/* An indented line: of a block, or more of a value. NULL: fine; else what is wrong. */
static const char *take_indented(struct place *place, struct str line)
{
    struct str key, value;
    if (!*place->section)
        return NULL;
    struct setting *last = &place->files->settings[place->files->n_settings - 1];
    if (!*place->block)
        return lengthen(last, line) ? NULL : "no memory";
    if (!split_setting(line, &key, &value))
        return "neither a setting nor a section";
    return put(place->files, place->file, place->section, place->block, key, value)
               ? NULL
               : "more settings than fit";
}

static const char *take_line(struct place *place, struct str whole)
{
    struct str line = trimmed(whole), key, value;
    bool is_indented = whole.len > 0 && (whole.at[0] == ' ' || whole.at[0] == '\t');
    if (line.len == 0 || line.at[0] == '#' || line.at[0] == ';')
        return NULL;
    if (is_indented && place->has_setting)
        return take_indented(place, line);
    place->has_setting = false;
    *place->block = '\0';
    if (line.at[0] == '[') {
        place->in_section = true;
        if (!read_section(line, place->file, place->section, sizeof place->section))
            return "a section's name that does not end, or is too long";
        /* So that it is known to be there, though it may say nothing. */
        return !*place->section ||
                       put(place->files, place->file, place->section, "", STR(""), STR(""))
                   ? NULL
                   : "more settings than fit";
    }
    if (!split_setting(line, &key, &value))
        return "neither a setting nor a section";
    if (!place->in_section)
        return "a setting before the first section";
    place->has_setting = true;
    if (value.len == 0)
        (void)snprintf(place->block, sizeof place->block, "%.*s", (int)key.len, key.at);
    if (!*place->section)
        return NULL;
    return put(place->files, place->file, place->section, "", key, value)
               ? NULL
               : "more settings than fit";
}

int aws_files_parse(struct aws_files *files, enum aws_file file, const char *bytes, size_t size,
                    struct err *err)
{
    struct reader r = rd_make(bytes, size);
    struct place place = {.files = files, .file = file};
    if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        rd_skip(&r, 3);
    for (unsigned n = 1; rd_left(&r) > 0; n++) {
        const char *wrong = take_line(&place, next_line(&r));
        if (wrong)
            return err_set(err, -EINVAL, "%s:%u: %s", files->path[file], n, wrong);
    }
    return 0;
}

static int read_one(struct aws_files *files, enum aws_file file, bool is_named, struct err *err)
{
    struct text text;
    struct stat about;
    struct err why;
    const char *path = files->path[file];
    if (!*path)
        return 0;
    int result = aws_file_read(path, FILE_MAX_, &text, &why);
    if (result == -ENOENT || result == -ENOTDIR)
        return 0;
    if (result == -EACCES && !is_named) {
        files->trouble[file] = EACCES;
        return 0;
    }
    if (result < 0) {
        if (err)
            *err = why;
        return result;
    }
    files->is_open[file] = stat(path, &about) == 0 && (about.st_mode & (S_IRGRP | S_IROTH)) != 0;
    result = aws_files_parse(files, file, text.at ? text.at : "", text.size, err);
    aws_text_forget(&text);
    return result;
}

int aws_files_read(const struct aws_env *env, struct aws_files **out, struct err *err)
{
    static const struct {
        const char *variable, *usual;
    } places[AWS_FILES] = {{"AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials"},
                           {"AWS_CONFIG_FILE", "/.aws/config"}};
    struct aws_files *files = aws_files_new();
    char home[PATH_SIZE / 2];
    bool has_home = aws_home(env, home, sizeof home);
    *out = NULL;
    if (!files)
        return err_set(err, -ENOMEM, "no memory for AWS's files");
    for (int i = 0; i < AWS_FILES; i++) {
        const char *named = aws_env_get(env, places[i].variable);
        bool is_home = named && strncmp(named, "~/", 2) == 0;
        if (named || has_home)
            (void)snprintf(files->path[i], PATH_SIZE, "%s%s", named && !is_home ? "" : home,
                           named ? named + is_home : places[i].usual);
        int result = read_one(files, (enum aws_file)i, named != NULL, err);
        if (result < 0) {
            aws_files_free(files);
            return result;
        }
    }
    *out = files;
    return 0;
}

/* ---- asking ---- */

static bool is_section(const char *section, const char *kind, const char *name)
{
    size_t len = strlen(kind);
    return strncmp(section, kind, len) == 0 && section[len] == ' ' &&
           strcmp(section + len + 1, name) == 0;
}

const char *aws_files_of(const struct aws_files *files, enum aws_file file, const char *kind,
                         const char *name, const char *key)
{
    for (size_t i = files->n_settings; i-- > 0;) {
        const struct setting *setting = &files->settings[i];
        if (setting->file == file && strcmp(setting->key, key) == 0 &&
            is_section(setting->section, kind, name))
            return *setting->value ? setting->value : NULL;
    }
    return NULL;
}

const char *aws_files_get(const struct aws_files *files, const char *kind, const char *name,
                          const char *key)
{
    const char *value = aws_files_of(files, AWS_FILE_CREDENTIALS, kind, name, key);
    return value ? value : aws_files_of(files, AWS_FILE_CONFIG, kind, name, key);
}

bool aws_files_has(const struct aws_files *files, const char *kind, const char *name)
{
    for (size_t i = 0; i < files->n_settings; i++)
        if (is_section(files->settings[i].section, kind, name))
            return true;
    return false;
}

const char *aws_files_path(const struct aws_files *files, enum aws_file file)
{
    return files->path[file];
}

const char *aws_files_trouble(const struct aws_files *files, enum aws_file file)
{
    return files->trouble[file] ? strerror(files->trouble[file]) : NULL;
}

bool aws_files_is_open(const struct aws_files *files, enum aws_file file)
{
    return files->is_open[file];
}
