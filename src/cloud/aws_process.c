/* credential_process: a program of the user's that prints credentials. It is run with the words of
 * the setting, without a shell; it has a minute, and its complaint is told, its output never. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/program.h"
#include "cloud/aws_impl.h"
#include "cloud/aws_query.h"

#define WORDS_MAX   64
#define OUT_MAX     (64u << 10)
#define SECONDS_MAX 60 /* somebody may have to press a button */

/* ---- words ---- */

struct words {
    char *text; /* owned */
    char *word[WORDS_MAX + 1];
    size_t n;
};

/* As a POSIX shell splits, with its quotation marks, but nothing is replaced. False: a mark that is
 * not closed, or too many words. */
static bool split(const char *line, struct words *out)
{
    char *to = out->text;
    char quote = '\0';
    bool in_word = false;
    for (const char *at = line; *at; at++) {
        if (!quote && strchr(" \t\r\n", *at)) {
            if (in_word)
                *to++ = '\0';
            in_word = false;
            continue;
        }
        if (!in_word) {
            if (out->n == WORDS_MAX)
                return false;
            out->word[out->n++] = to;
            in_word = true;
        }
        if (quote && *at == quote) {
            quote = '\0';
        } else if (!quote && (*at == '"' || *at == '\'')) {
            quote = *at;
        } else if (*at == '\\' && quote != '\'' && at[1] &&
                   (!quote || at[1] == '"' || at[1] == '\\')) {
            *to++ = *++at;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
    return !quote && out->n > 0;
}

/* ---- running ---- */

static int run(const struct words *words, struct program_result *out, struct err *err)
{
    const char *name = words->word[0], *arguments[WORDS_MAX + 1] = {NULL};
    for (size_t i = 1; i < words->n; i++)
        arguments[i - 1] = words->word[i];
    const struct program program = {.name = name,
                                    .arguments = arguments,
                                    .out_max = OUT_MAX - 1,
                                    .seconds = SECONDS_MAX,
                                    .is_users = true,
                                    .is_secret = true};
    int result = program_run(&program, out, err);
    if (result == -ETIME)
        return err_set(err, -ETIMEDOUT, "%s: took more than a minute", name);
    if (result == -EFBIG)
        return err_set(err, -EPROTO, "%s: prints more than credentials", name);
    if (result == 0 && out->exit_code != 0)
        return err_set(err, -EACCES, "%s: failed%s%.200s", name, out->complaint[0] ? ": " : "",
                       out->complaint);
    return result;
}

/* ---- what it printed ---- */

static int take_output(const char *name, const struct program_result *output, struct aws_keys *out,
                       struct err *err)
{
    static const struct aws_key_names names = {"AccessKeyId", "SecretAccessKey", "SessionToken",
                                               "Expiration"};
    json_t *json = json_loadb(output->out, output->out_size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *version = json_object_get(json, "Version");
    int result;
    if (!json)
        result = err_set(err, -EPROTO, "%s: prints no JSON", name);
    else if (!json_is_integer(version) || json_integer_value(version) != 1)
        result = err_set(err, -EPROTO, "%s: prints JSON without \"Version\": 1", name);
    else
        result = aws_keys_of_json(json, &names, name, out, err);
    aws_json_forget(json);
    return result;
}

int aws_fetch_process(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                      struct err *err)
{
    size_t size = strlen(source->from) + 1;
    struct words words = {.text = malloc(size)};
    struct program_result output = {0};
    int result;
    (void)aws;
    if (!words.text)
        result = err_set(err, -ENOMEM, "no memory for a program");
    else if (!split(source->from, &words))
        result = err_set(err, -EINVAL,
                         "credential_process: a quotation mark is not closed, or "
                         "there are no words, or more than %d",
                         WORDS_MAX);
    else
        result = run(&words, &output, err);
    if (result == 0)
        result = take_output(words.word[0], &output, out, err);
    program_forget(&output);
    if (words.text)
        explicit_bzero(words.text, size); /* a password may be among the words */
    free(words.text);
    return result;
}
