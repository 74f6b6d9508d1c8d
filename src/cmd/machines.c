/* The table of the monitored machines: see machines.h. */
#include "cmd/machines.h"

#include <stdio.h>
#include <string.h>

#define REASON_LEAST 16

static const struct column {
    const char *head;
    unsigned most; /* columns it may have on a line of 80; more on wider ones */
    unsigned most_wide;
    unsigned priority; /* the highest go first where there is no room; 0: stays */
    bool right;
} columns[MACHINES_N_COLUMNS] = {
    [MACHINES_NAME] = {"SOURCE", 16, 40, 0, false}, [MACHINES_ENCAP] = {"ENCAP", 9, 20, 3, false},
    [MACHINES_ID] = {"ID", 10, 16, 4, true},        [MACHINES_FROM] = {"FROM", 15, 39, 7, false},
    [MACHINES_IN] = {"IN b/s", 6, 6, 1, true},      [MACHINES_OUT] = {"OUT b/s", 7, 7, 1, true},
    [MACHINES_PPS] = {"PPS", 5, 5, 6, true},        [MACHINES_COPIES] = {"DUP%", 5, 5, 5, true},
    [MACHINES_LAST] = {"LAST", 6, 6, 2, true},      [MACHINES_STATE] = {"STATE", 9, 9, 0, false},
    [MACHINES_REASON] = {"REASON", 0, 0, 0, false},
};

/* Copies until the NUL or the size of the field. */
static void copy(char *out, size_t out_size, const char *text, size_t size)
{
    (void)snprintf(out, out_size, "%.*s", (int)strnlen(text, size), text);
}

static void put_id(const struct snapshot_machine *m, char *out, size_t size)
{
    char more[16] = "";
    if (m->n_channels > 1)
        (void)snprintf(more, sizeof more, "+%u", m->n_channels - 1);
    if (m->channel.has_id)
        (void)snprintf(out, size, "%u%s", m->channel.id, more);
    else if (m->channel.interface[0])
        (void)snprintf(out, size, "%.16s%s", m->channel.interface, more);
    else
        (void)snprintf(out, size, "-%s", more);
}

static size_t put_addr(const struct addr *addr, char *out)
{
    static const struct addr none;
    size_t len = addr_eq(addr, &none) ? 0 : addr_format(addr, out);
    out[len] = '\0';
    return len;
}

/* The cell as bytes that are not yet safe. */
static void cell(enum machines_column column, const struct snapshot_machine *m, int64_t now,
                 char out[256])
{
    out[0] = '\0';
    switch (column) {
    case MACHINES_NAME:
        copy(out, 256, m->name, sizeof m->name);
        return;
    case MACHINES_ENCAP:
        copy(out, 256, m->channel.encapsulation, sizeof m->channel.encapsulation);
        return;
    case MACHINES_ID:
        put_id(m, out, 256);
        return;
    case MACHINES_FROM:
        if (put_addr(&m->channel.outer, out) == 0)
            copy(out, 256, "-", 2);
        return;
    case MACHINES_IN:
        terminal_number(m->in_bits_per_second, out);
        return;
    case MACHINES_OUT:
        terminal_number(m->out_bits_per_second, out);
        return;
    case MACHINES_PPS:
        terminal_number(m->packets_per_second, out);
        return;
    case MACHINES_COPIES:
        (void)snprintf(out, 256, "%.1f",
                       m->copies_share > 0 && m->copies_share <= 1 ? m->copies_share * 100 : 0.0);
        return;
    case MACHINES_LAST:
        if (m->last_packet)
            terminal_duration(now - m->last_packet, out);
        else
            copy(out, 256, "never", 6);
        return;
    case MACHINES_STATE:
        copy(out, 256, health_state_name(m->state), 32);
        return;
    case MACHINES_REASON:
        copy(out, 256, m->reason, sizeof m->reason);
        return;
    case MACHINES_N_COLUMNS:
        return;
    }
}

/* With the gaps between. */
static unsigned taken(const struct machines_layout *layout)
{
    unsigned sum = 0;
    for (int i = 0; i < MACHINES_REASON; i++)
        if (layout->width[i])
            sum += layout->width[i] + layout->gap;
    return sum;
}

/* False: none can go. */
static bool leave_one_out(struct machines_layout *layout)
{
    int worst = -1;
    for (int i = 0; i < MACHINES_REASON; i++)
        if (layout->width[i] && columns[i].priority &&
            (worst < 0 || columns[i].priority >= columns[worst].priority))
            worst = i;
    if (worst >= 0)
        layout->width[worst] = 0;
    return worst >= 0;
}

void machines_fit(struct machines_layout *layout, const struct snapshot *s, unsigned width,
                  bool utf8)
{
    *layout = (struct machines_layout){.gap = width >= 100 ? 2 : 1, .utf8 = utf8};
    unsigned reason = 0;
    for (int i = 0; i < MACHINES_REASON; i++)
        layout->width[i] = (unsigned)strlen(columns[i].head);
    for (size_t m = 0; m < s->n_machines; m++) {
        for (int i = 0; i < MACHINES_N_COLUMNS; i++) {
            char text[256];
            cell((enum machines_column)i, &s->machines[m], s->now, text);
            unsigned most = width >= 110 ? columns[i].most_wide : columns[i].most;
            unsigned needed = terminal_width(text, sizeof text, utf8);
            if (i == MACHINES_REASON)
                reason = needed > reason ? needed : reason;
            else if (needed > layout->width[i])
                layout->width[i] = needed < most ? needed : most;
        }
    }
    /* Where the sender is, is said only when nothing else suffers. */
    unsigned wanted = reason < 40 ? reason : 40;
    if (taken(layout) + wanted > width)
        layout->width[MACHINES_FROM] = 0;
    unsigned least = reason < REASON_LEAST ? reason : REASON_LEAST;
    if (width < 76) {
        /* The reasons then go to lines of their own, or to the alarms. */
        while (taken(layout) > width + layout->gap && leave_one_out(layout))
            continue;
    } else {
        while (taken(layout) + least > width && layout->width[MACHINES_PPS])
            layout->width[MACHINES_PPS] = 0;
    }
    unsigned sum = taken(layout);
    if (sum > width + layout->gap) {
        unsigned over = sum - width - layout->gap, *name = &layout->width[MACHINES_NAME];
        *name = *name > over + 4 ? *name - over : 4;
        sum = taken(layout);
    }
    layout->width[MACHINES_REASON] = sum + 6 <= width && reason ? width - sum : 0;
}

void machines_head(const struct machines_layout *layout, struct line *line)
{
    for (int i = 0; i < MACHINES_N_COLUMNS; i++) {
        if (!layout->width[i])
            continue;
        bool is_last = i == MACHINES_STATE && !layout->width[MACHINES_REASON];
        if (i == MACHINES_REASON || is_last)
            line_put(line, STYLE_DIM, columns[i].head);
        else
            line_field(line, STYLE_DIM, columns[i].head, layout->width[i], columns[i].right);
        if (i < MACHINES_STATE || (i == MACHINES_STATE && layout->width[MACHINES_REASON]))
            line_space(line, layout->gap);
    }
}

enum style machines_style(enum health_state state, bool is_bad)
{
    if (state == HEALTH_SILENT || state == HEALTH_MUTED)
        return STYLE_RED;
    return is_bad ? STYLE_YELLOW : STYLE_PLAIN;
}

/* The last column is not filled with spaces. */
void machines_row(const struct machines_layout *layout, const struct snapshot_machine *machine,
                  int64_t now, bool with_reason, struct line *line)
{
    enum style style = machines_style(machine->state, snapshot_is_bad(machine));
    for (int i = 0; i < MACHINES_STATE; i++) {
        char text[256];
        if (!layout->width[i])
            continue;
        cell((enum machines_column)i, machine, now, text);
        line_field(line, i == MACHINES_NAME ? style : STYLE_PLAIN, text, layout->width[i],
                   columns[i].right);
        line_space(line, layout->gap);
    }
    const char *state = health_state_name(machine->state);
    if (!with_reason || !machine->reason[0] || !layout->width[MACHINES_REASON]) {
        line_put(line, style, state);
        return;
    }
    line_field(line, style, state, layout->width[MACHINES_STATE], false);
    line_space(line, layout->gap);
    line_put_upto(line, STYLE_PLAIN, machine->reason, sizeof machine->reason);
}

bool machines_is_cut(const struct machines_layout *layout, const struct snapshot_machine *machine)
{
    return terminal_width(machine->reason, sizeof machine->reason, layout->utf8) >
           layout->width[MACHINES_REASON];
}

void machines_channel(const struct snapshot_channel *channel, char out[128])
{
    char id[16] = "", from[ADDR_TEXT_MAX + 1];
    if (channel->has_id)
        (void)snprintf(id, sizeof id, " %u", channel->id);
    bool has_from = put_addr(&channel->outer, from) > 0;
    (void)snprintf(out, 128, "%.24s%s%s%.46s%s%.16s", channel->encapsulation, id,
                   has_from ? " from " : "", from, channel->interface[0] ? " on " : "",
                   channel->interface);
}

void machines_count(const struct snapshot *s, struct line *line)
{
    size_t count[HEALTH_N_STATES] = {0};
    for (size_t i = 0; i < s->n_machines; i++)
        if ((unsigned)s->machines[i].state < HEALTH_N_STATES)
            count[s->machines[i].state]++;
    line_format(line, STYLE_BOLD, "%zu source%s", s->n_machines, s->n_machines == 1 ? "" : "s");
    const char *between = ": ";
    for (int i = HEALTH_N_STATES - 1; i >= 0; i--) {
        if (!count[i])
            continue;
        line_put(line, STYLE_PLAIN, between);
        line_format(line, machines_style((enum health_state)i, health_is_bad((enum health_state)i)),
                    "%zu %s", count[i], health_state_name((enum health_state)i));
        between = ", ";
    }
}
