/* What AWS and its files say, from a block of its exact size: 0 and an answer or a refusal, 1 and
 * ~/.aws/config, 2 and ~/.aws/credentials. */
#include <stdlib.h>
#include <string.h>

#include "cloud/aws_files.h"
#include "cloud/aws_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What is read can be written as JSON, and be asked with. */
static void take_answer(const char *body, size_t size)
{
    struct err err = {{0}};
    struct cloud_refusal refusal;
    struct text form;
    json_t *out = NULL;
    char name[64];
    if (aws_xml_read(body, size, &out, name, &err) == 0) {
        char *text = json_dumps(out, JSON_ENCODE_ANY);
        if (!text)
            abort();
        free(text);
        text_init(&form, 1u << 16);
        if (aws_query_put(&form, AWS_STYLE_EC2, "A", "1", out, &err) < 0 && !err.text[0])
            abort();
        text_done(&form);
        aws_json_forget(out);
    } else if (out || !err.text[0]) {
        abort();
    }
    aws_explain(body, size, 400, &refusal);
    if (!refusal.message[0])
        abort();
}

static void take_file(enum aws_file file, const char *body, size_t size)
{
    struct err err = {{0}};
    struct aws_files *files = aws_files_new();
    if (!files)
        abort();
    if (aws_files_parse(files, file, body, size, &err) < 0 && !err.text[0])
        abort();
    (void)aws_files_get(files, "profile", "default", "region");
    if (aws_files_has(files, "profile", ""))
        (void)aws_files_get(files, "profile", "", "s3.x");
    aws_files_free(files);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;
    char *block = malloc(size > 1 ? size - 1 : 1);
    if (!block)
        abort();
    memcpy(block, bytes + 1, size - 1);
    if (bytes[0] % 3 == 0)
        take_answer(block, size - 1);
    else if (!memchr(block, '\0', size - 1)) /* as it is read */
        take_file(bytes[0] % 3 == 1 ? AWS_FILE_CONFIG : AWS_FILE_CREDENTIALS, block, size - 1);
    free(block);
    return 0;
}
