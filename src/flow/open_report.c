/* Rounds through the open connections: see open_report.h. */
#include "flow/open_report.h"

#include "flow/conn_log.h"
#include "flow/table.h"

#define HOUR     (3600 * INT64_C(1000000000))
#define MAX_LOOK (1u << 16) /* connections in one step: a millisecond or so */
#define MAX_ROWS (1u << 12) /* reported in one step: some milliseconds */

void open_report_begin(struct open_report *report, const struct flow_context *context)
{
    if (report->running)
        return;
    report->before = report->upto;
    report->upto = context->clock;
    report->at = 0;
    report->running = true;
}

/* One that has closed is logged as closed in a moment; a shadow is another worker's. */
static bool is_due(const struct open_report *report, const struct flow *f)
{
    int64_t hours = (report->upto - f->first) / HOUR;
    return hours > 0 && hours > (report->before - f->first) / HOUR && !f->is_closing && !f->shadow;
}

void open_report_step(struct open_report *report, struct flow_context *context)
{
    if (!report->running)
        return;
    uint32_t size = flow_table_size(context->table);
    uint32_t n_rows = 0;
    for (uint32_t n = 0; n < MAX_LOOK && n_rows < MAX_ROWS; n++) {
        if (report->at >= size) {
            report->running = false;
            return;
        }
        struct flow *f = flow_table_at(context->table, report->at++);
        if (!f || !is_due(report, f))
            continue;
        conn_log_open(context, f);
        if (context->payload && context->payload->open)
            context->payload->open(context, f);
        n_rows++;
    }
}
