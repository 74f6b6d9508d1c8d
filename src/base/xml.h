/* Reads XML piece by piece, in place: elements, their attributes, their text. For what other
 * programs write of themselves, not for documents: a document type is refused, and with it all
 * entities but the five of XML itself and numbers; names are taken as they stand, with their
 * prefix; nesting is limited.
 *
 *     struct xml xml = xml_make(bytes, size);
 *     while ((event = xml_next(&xml)) > XML_END)
 *         if (event == XML_OPEN && xml_is_at(&xml, 0, "domain/devices/interface"))
 *             xml_attribute(&xml, "type", type, sizeof type);
 *     if (event < 0) … it is no XML, or was cut off
 *
 * What it was made of has to stay. Extensible Markup Language (XML) 1.0, W3C. */
#ifndef BASE_XML_H
#define BASE_XML_H

#include "base/reader.h"

#define XML_DEPTH_MAX 64

enum xml_event {
    XML_BAD = -1, /* and so from now on */
    XML_END,      /* all elements are closed, and nothing follows */
    XML_OPEN,     /* an element begins; `path` ends with its name */
    XML_CLOSE,    /* it ends; `path` still does. An empty element is opened, then closed */
    XML_TEXT      /* characters of the element that `path` ends with; in one or more pieces */
};

struct xml {
    struct reader left;
    struct reader path[XML_DEPTH_MAX]; /* the names of the open elements */
    size_t depth;                      /* how many they are */
    struct reader attributes;          /* of XML_OPEN */
    struct reader text;                /* of XML_TEXT, as it is written */
    bool is_raw;                       /* the text is of a CDATA section */
    bool closes, closed;               /* an empty element; after XML_CLOSE */
    bool had_root, is_bad;
};

struct xml xml_make(const void *bytes, size_t size);
int xml_next(struct xml *xml);

/* Whether the open elements from `depth` on, and the one that the event is about, have these names:
 * "domain/devices". */
bool xml_is_at(const struct xml *xml, size_t depth, const char *names);

/* The attribute's value; false and "" where there is none, or one that does not fit. */
bool xml_attribute(const struct xml *xml, const char *name, char *out, size_t size);

/* The text; false and "" where it does not fit. */
bool xml_text(const struct xml *xml, char *out, size_t size);

#endif
