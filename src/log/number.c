/* Numbers as text: see number.h. */
#include "log/number.h"

static const char pairs[] = "0001020304050607080910111213141516171819202122232425262728293031323334"
                            "353637383940414243444546474849"
                            "5051525354555657585960616263646566676869707172737475767778798081828384"
                            "858687888990919293949596979899";

char *number_put(char *at, uint64_t value)
{
    char text[20];
    char *p = text + sizeof text;
    while (value >= 100) {
        p -= 2;
        memcpy(p, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        p -= 2;
        memcpy(p, pairs + value * 2, 2);
    } else {
        *--p = (char)('0' + value);
    }
    size_t len = (size_t)(text + sizeof text - p);
    memcpy(at, p, len);
    return at + len;
}

char *number_put6(char *at, uint32_t value)
{
    memcpy(at, pairs + value / 10000 * 2, 2);
    memcpy(at + 2, pairs + value / 100 % 100 * 2, 2);
    memcpy(at + 4, pairs + value % 100 * 2, 2);
    return at + 6;
}
