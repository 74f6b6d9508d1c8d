/* What a mirror costs: see cloud.h. */
#include <string.h>

#include "mirror/cloud.h"

void cloud_put_cost(struct text *out, size_t n, const char *unit, double usd_an_hour,
                    const char *as_of)
{
    double a_day = (double)n * usd_an_hour * 24;
    if (n == 0 || usd_an_hour <= 0)
        return;
    text_format(out, "about %.*f USD a day (%zu %s%s, %g USD an hour%s; prices %s%s)\n",
                a_day < 10 ? 2 : 0, a_day, n, unit, n > 1 ? "s" : "", usd_an_hour,
                n > 1 ? " each" : "", strstr(as_of, "as of") ? "of " : "as of ", as_of);
}
