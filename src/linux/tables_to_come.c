/* In the place of iptables' way to copy, until they are there: none is found, and
 * none can be made. */
#include <errno.h>

#include "linux/iptables.h"
int linux_tee_make(const struct linux_tee *w, struct err *e)
{
    return err_set(e, -EOPNOTSUPP, "not there yet");
}
int linux_tee_find(const char *m, struct linux_tee_list *o, struct err *e)
{
    o->n = 0;
    o->at = 0;
    return 0;
}
void linux_tee_list_done(struct linux_tee_list *l)
{
}
int linux_tee_remove(const char *m, int f, struct err *e)
{
    return 0;
}
void linux_tee_put_make(const struct linux_tee *w, struct text *o)
{
}
void linux_tee_put_remove(const struct linux_tee *w, struct text *o)
{
}
int linux_tee_filter(const char *e, struct linux_tee *t, struct err *err)
{
    return 0;
}
int linux_tee_can(int f, struct err *e)
{
    return err_set(e, -EOPNOTSUPP, "not there yet");
}
