// SPDX-License-Identifier: MIT
/*
 * fakegpu mirror: what the device can see of a process
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "debugfs.h"
#include "tool.h"

static const char help[] =
	"Usage: fakegpu mirror [options]\n"
	"\n"
	"Show a VM's mirror, the GPU page table, as it is now. With neither --pid nor --vm\n"
	"the only VM there is, or a list of them. Needs root.\n"
	"\n"
	"  -p, --pid P      the VMs of process P\n"
	"  -v, --vm ID      the VM with this id\n"
	"  -i, --intervals  also the intervals: the addresses whose changes the driver hears of\n"
	"  -f, --faults     also the last device faults\n"
	"  -e, --events     also the last invalidations\n"
	COMMON_HELP;

enum {
	SHOW_INTERVALS = 1 << 0,
	SHOW_FAULTS = 1 << 1,
	SHOW_EVENTS = 1 << 2,
};

/* ------------------------------------------------------------------- JSON */

static bool is_number(const char *s)
{
	return *s && (*s != '0' || !s[1]) && !s[strspn(s, "0123456789")];
}

static void print_json_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		if ((unsigned char)*s >= ' ')
			putchar(*s);
	}
	putchar('"');
}

static void print_json_row(const struct table *t, size_t row)
{
	size_t col;

	for (col = 0; col < t->cols; col++) {
		const char *s = t->cell[row][col];

		printf("%s\"%s\": ", col ? ", " : "", t->name[col]);
		if (is_number(s))
			fputs(s, stdout);
		else
			print_json_string(s);
	}
}

static void print_json_table(const char *name, const struct table *t)
{
	size_t row;

	printf(",\n \"%s\": [", name);
	for (row = 0; row < t->rows; row++) {
		fputs(row ? ",\n  {" : "\n  {", stdout);
		print_json_row(t, row);
		fputs("}", stdout);
	}
	fputs("]", stdout);
}

/* ----------------------------------------------------------------- tables */

static void print_mirror(const struct table *t)
{
	uint64_t start, end;
	size_t row;

	if (!t->rows) {
		puts("  the mirror is empty: the device has no entry");
		return;
	}
	printf("  %s%-33s %10s  %-6s %-6s %-6s%s\n", bold(), "mirror: range", "size", "leaf",
	       "access", "memory", plain());
	for (row = 0; row < t->rows; row++) {
		if (!table_range(t, row, "range", &start, &end))
			continue;
		printf("  %016" PRIx64 "-%016" PRIx64 " %10s  %-6s %-6s %-6s\n", start, end,
		       human_size(end - start).s,
		       human_size(1ULL << (table_num(t, row, "order") & 63)).s,
		       table_str(t, row, "flags"), table_str(t, row, "where"));
	}
}

static void print_intervals(const struct table *t)
{
	uint64_t start, end;
	size_t row;

	if (!t->rows) {
		puts("  no intervals: nothing is monitored");
		return;
	}
	printf("  %s%-33s %10s  %-6s %-5s %12s %12s%s\n", bold(), "intervals: range", "size",
	       "scheme", "state", "pages", "seq", plain());
	for (row = 0; row < t->rows; row++) {
		if (!table_range(t, row, "range", &start, &end))
			continue;
		printf("  %016" PRIx64 "-%016" PRIx64 " %10s  %-6s %-5s %12s %12s\n", start, end,
		       end > start ? human_size(end - start).s : "all",
		       table_str(t, row, "scheme"), table_str(t, row, "state"),
		       table_str(t, row, "pages"), table_str(t, row, "seq"));
	}
}

static void print_time(const struct table *t, size_t row)
{
	uint64_t ns = table_num(t, row, "time_ns");

	printf("  %8" PRIu64 ".%06" PRIu64, (uint64_t)(ns / NSEC_PER_SEC),
	       (uint64_t)(ns % NSEC_PER_SEC / 1000));
}

static void print_faults(const struct table *t)
{
	size_t row;

	if (!t->rows) {
		puts("  no device faults yet");
		return;
	}
	printf("  %s%-15s %-33s %-6s %6s %8s %4s  %s%s\n", bold(), "faults: at (s)",
	       "range still needed", "access", "queue", "seqno", "cmd", "outcome", plain());
	for (row = 0; row < t->rows; row++) {
		int error = table_num(t, row, "error");

		print_time(t, row);
		printf(" %-33s %-6s %6s %8s %4s  %s\n", table_str(t, row, "range"),
		       table_str(t, row, "access"), table_str(t, row, "queue"),
		       table_str(t, row, "seqno"), table_str(t, row, "cmd"),
		       error ? strerror(error) : "serviced");
	}
}

static void print_events(const struct table *t)
{
	size_t row;

	if (!t->rows) {
		puts("  no invalidations yet");
		return;
	}
	printf("  %s%-15s %-15s %-33s %8s  %s%s\n", bold(), "events: at (s)", "event", "range",
	       "cleared", "interval", plain());
	for (row = 0; row < t->rows; row++) {
		print_time(t, row);
		printf(" %-15s %-33s %8s  %s\n", table_str(t, row, "event"),
		       table_str(t, row, "range"), table_str(t, row, "pages_cleared"),
		       table_str(t, row, "interval"));
	}
}

static void print_summary(const struct table *vms, size_t row, const struct table *mirror)
{
	uint64_t bytes = 0, writable = 0, dirty = 0, start, end;
	size_t i;

	for (i = 0; i < mirror->rows; i++) {
		const char *flags = table_str(mirror, i, "flags");

		if (!table_range(mirror, i, "range", &start, &end))
			continue;
		bytes += end - start;
		if (strchr(flags, 'w'))
			writable += end - start;
		if (strchr(flags, 'd'))
			dirty += end - start;
	}
	printf("  %s mirrored in %s", human_size(bytes).s, plural(mirror->rows, "run").s);
	if (bytes)
		printf(": %s writable, %s written by the device", human_size(writable).s,
		       human_size(dirty).s);
	printf("; %s, %s\n",
	       plural(table_num(vms, row, "intervals"), "interval").s,
	       plural(table_num(vms, row, "queues"), "queue").s);
}

/* -------------------------------------------------------------------- VMs */

static const struct section {
	const char *file;
	int show;
	void (*print)(const struct table *t);
} sections[] = {
	{ "mirror", 0, print_mirror },
	{ "intervals", SHOW_INTERVALS, print_intervals },
	{ "faults", SHOW_FAULTS, print_faults },
	{ "events", SHOW_EVENTS, print_events },
};

static void print_title(const struct table *vms, size_t row)
{
	uint64_t interval_order = table_num(vms, row, "interval_order");

	printf("%sVM %s%s  process %s (%s), scheme %s", bold(), table_str(vms, row, "id"), plain(),
	       table_str(vms, row, "pid"), table_str(vms, row, "comm"),
	       table_str(vms, row, "scheme"));
	if (!strcmp(table_str(vms, row, "scheme"), "slot") && interval_order < 64)
		printf(" of %s", human_size(1ULL << interval_order).s);
	printf(", windows of %s\n",
	       human_size(1ULL << (table_num(vms, row, "window_order") & 63)).s);
}

static int show_vm(int fd, const struct table *vms, size_t row, int show)
{
	uint32_t id = table_num(vms, row, "id");
	struct table mirror = { 0 }, t;
	size_t i;
	int ret;

	if (common.json) {
		fputs("{", stdout);
		print_json_row(vms, row);
	} else {
		print_title(vms, row);
	}
	for (i = 0; i < ARRAY_SIZE(sections); i++) {
		const struct section *s = &sections[i];

		if (s->show && !(show & s->show))
			continue;
		ret = table_read_vm(fd, id, s->file, &t);
		if (ret) {
			char what[32];

			table_free(&mirror);
			snprintf(what, sizeof(what), "vm%u/%s", id, s->file);
			return debugfs_fail(what, ret);
		}
		if (common.json)
			print_json_table(s->file, &t);
		else
			s->print(&t);
		if (s->show)
			table_free(&t);
		else
			mirror = t;
	}
	if (common.json)
		fputs("}", stdout);
	else
		print_summary(vms, row, &mirror);
	table_free(&mirror);
	return OK;
}

static void list_vms(FILE *to, const struct table *vms)
{
	size_t row;

	fprintf(to, "  %6s %8s  %-16s %-6s %9s %12s %12s %7s\n", "VM", "pid", "command", "scheme",
		"intervals", "small leaves", "large leaves", "queues");
	for (row = 0; row < vms->rows; row++)
		fprintf(to, "  %6s %8s  %-16s %-6s %9s %12s %12s %7s\n",
			table_str(vms, row, "id"), table_str(vms, row, "pid"),
			table_str(vms, row, "comm"), table_str(vms, row, "scheme"),
			table_str(vms, row, "intervals"), table_str(vms, row, "pages_small"),
			table_str(vms, row, "leaves_large"), table_str(vms, row, "queues"));
}

/* @col is "id", "pid", or NULL for the only VM. */
static int show(int fd, const struct table *vms, const char *col, uint64_t wanted, int sections)
{
	size_t row, found = 0;
	int ret = OK;

	if (!vms->rows && !common.json)
		return fail("no process uses this device now, so there is no mirror to show;\n"
			    "  try 'fakegpu run churn --seconds 60 &' and ask again");
	if (!col && vms->rows > 1 && !common.json) {
		puts("There are several VMs; choose one with --vm or --pid:");
		list_vms(stdout, vms);
		return OK;
	}
	if (common.json)
		fputs("[", stdout);
	for (row = 0; row < vms->rows && !ret; row++) {
		if (col && table_num(vms, row, col) != wanted)
			continue;
		if (found++)
			fputs(common.json ? ",\n" : "\n", stdout);
		ret = show_vm(fd, vms, row, sections);
	}
	if (common.json)
		fputs("]\n", stdout);
	if (col && !found) {
		if (!strcmp(col, "pid"))
			ret = fail("process %" PRIu64 " has no VM on device %u; these are there:",
				   wanted, common.device);
		else
			ret = fail("there is no VM %" PRIu64 " on device %u; these are there:",
				   wanted, common.device);
		list_vms(stderr, vms);
	}
	return ret;
}

int cmd_mirror(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "vm", required_argument, NULL, 'v' },
		{ "intervals", no_argument, NULL, 'i' },
		{ "faults", no_argument, NULL, 'f' },
		{ "events", no_argument, NULL, 'e' },
		COMMON_OPTIONS,
		{ 0 }
	};
	static const char *const need[] = {
		"id", "pid", "comm", "scheme", "interval_order", "window_order", "intervals",
		"pages_small", "leaves_large", "queues", NULL
	};
	const char *col = NULL;
	uint64_t wanted = 0;
	struct table vms;
	int c, fd, ret, sections = 0;

	while ((c = getopt_long(argc, argv, "p:v:ife" COMMON_SHORT, options, NULL)) != -1) {
		switch (c) {
		case 'p':
		case 'v':
			if (col)
				return usage("mirror: give one of --pid and --vm, once");
			col = c == 'p' ? "pid" : "id";
			if (!parse_number(c == 'p' ? "--pid" : "--vm", optarg, 1, UINT32_MAX,
					  &wanted))
				return USAGE;
			break;
		case 'i':
			sections |= SHOW_INTERVALS;
			break;
		case 'f':
			sections |= SHOW_FAULTS;
			break;
		case 'e':
			sections |= SHOW_EVENTS;
			break;
		default:
			ret = common_option(c, help);
			if (ret >= 0)
				return ret;
		}
	}
	if (optind < argc)
		return usage("mirror: '%s' is too much", argv[optind]);

	fd = device_open();
	if (fd < 0)
		return FAILED;
	ret = table_read(fd, "vms", need, &vms);
	if (ret) {
		ret = debugfs_fail("vms", ret);
	} else {
		ret = show(fd, &vms, col, wanted, sections);
		table_free(&vms);
	}
	close(fd);
	return ret;
}
