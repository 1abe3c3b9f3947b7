/* Any bytes given to the readers of units: a finite, non-negative value, or one line. */
#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char text[256];
    int64_t i = 0;
    double x = 0;
    struct tr_err err[6] = {0};

    len = TR_MIN(len, sizeof(text) - 1);
    if (len)
        memcpy(text, data, len);
    text[len] = 0;
    if (tr_units_duration(text, &i, &err[0]) == 0)
        tr_assert(i >= 0 && i <= INT64_C(36525) * 86400 * TR_NS_PER_S);
    if (tr_units_bytes(text, &i, &err[1]) == 0)
        tr_assert(i >= 0);
    if (tr_units_integer(text, &i, &err[2]) == 0)
        tr_assert(i >= 0);
    if (tr_units_rate(text, &x, &err[3]) == 0)
        tr_assert(x >= 0 && x <= 1.7976931348623157e308);
    if (tr_units_fraction(text, 1.0, &x, &err[4]) == 0)
        tr_assert(x >= 0 && x <= 1);
    if (tr_units_number(text, &x, &err[5]) == 0)
        tr_assert(x >= 0 && x <= 1.7976931348623157e308);
    for (size_t k = 0; k < TR_LEN(err); k++)
        tr_assert(!strpbrk(err[k].text, "\n\r"));
    return 0;
}
