/* How a check says what it found: see doctor.h. */
#include <stdarg.h>
#include <stdio.h>

#include "cmd/doctor.h"

static void count_finding(struct doctor *doctor, const struct doctor_finding *finding)
{
    doctor->n_warnings += finding->state == DOCTOR_WARNING;
    doctor->n_losing += finding->state == DOCTOR_WARNING && finding->loses_packets;
    doctor->n_unknown += finding->state == DOCTOR_UNKNOWN;
    doctor->report(doctor, finding);
}

void doctor_ok(struct doctor *doctor, const char *format, ...)
{
    struct doctor_finding finding = {.state = DOCTOR_OK};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(finding.text, sizeof finding.text, format, args);
    va_end(args);
    count_finding(doctor, &finding);
}

void doctor_unknown(struct doctor *doctor, const char *format, ...)
{
    struct doctor_finding finding = {.state = DOCTOR_UNKNOWN};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(finding.text, sizeof finding.text, format, args);
    va_end(args);
    count_finding(doctor, &finding);
}

void doctor_warn(struct doctor *doctor, bool loses_packets, const char *mend, const char *format,
                 ...)
{
    struct doctor_finding finding = {.state = DOCTOR_WARNING, .loses_packets = loses_packets};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(finding.text, sizeof finding.text, format, args);
    va_end(args);
    (void)snprintf(finding.mend, sizeof finding.mend, "%s", mend);
    count_finding(doctor, &finding);
}
