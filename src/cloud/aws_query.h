/* AWS's Query protocol: parameters as a form, answers as XML. */
#ifndef CLOUD_AWS_QUERY_H
#define CLOUD_AWS_QUERY_H

#include <jansson.h>

#include "base/err.h"
#include "base/text.h"
#include "cloud/rest.h"

/* How lists are written. */
enum aws_style {
    AWS_STYLE_EC2,  /* Filter.1.Name; an empty list is left out */
    AWS_STYLE_QUERY /* Names.member.1; an empty list is "Names=" */
};

/* "Action=…&Version=…&" and the parameters, in their order. Null is left out. */
int aws_query_put(struct text *out, enum aws_style style, const char *action, const char *version,
                  const json_t *parameters, struct err *err) MUST_CHECK;

/* The root element as aws.h describes it, or *out_name is its name, too (may be NULL; 64 bytes). A
 * name that an element's children have more than once becomes a list. -EPROTO: no XML, or too much
 * of it. */
int aws_xml_read(const char *bytes, size_t size, json_t **out, char *out_name,
                 struct err *err) MUST_CHECK;

/* Code and message of a refusal's body: <Response>, <ErrorResponse>, or JSON's __type. Where there
 * are none the code is "" and the message says what the status means. */
void aws_explain(const char *bytes, size_t size, long status, struct cloud_refusal *out);

/* Wipes all texts of what the caller alone has, and drops it; NULL is fine. */
void aws_json_forget(json_t *json);

#endif
