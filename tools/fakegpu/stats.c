// SPDX-License-Identifier: MIT
/*
 * fakegpu stats, fakegpu verify: how a device is doing
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* ------------------------------------------------------------------ stats */

static const char stats_help[] =
	"Usage: fakegpu stats [options]\n"
	"\n"
	"Show what is there now and what happened since the module was loaded, or the\n"
	"counters were reset, over all VMs of the device. Needs root.\n"
	"\n"
	"  -r, --reset      set the counters to 0 after showing them\n"
	COMMON_HELP;

static const struct stat_line {
	const char *name;
	const char *words;
	bool gauge;
} lines[] = {
	{ "vms", "VMs", true },
	{ "queues", "queues", true },
	{ "intervals", "live intervals", true },
	{ "intervals_pending", "dead intervals that a worker removes", true },
	{ "nodes", "page-table nodes of all mirrors", true },
	{ "pages_small", "4 KiB leaves in the mirrors", true },
	{ "leaves_large", "2 MiB leaves in the mirrors", true },
	{ "faults_pending", "device faults that wait for service", true },
	{ "attrs", "ranges with attributes", true },
	{ "attr_intervals", "notifiers registered for attributes", true },
	{ "memory", "bytes of nodes and intervals", true },
	{ "faults", "device faults taken up", false },
	{ "faults_fatal", "of these stopped their queue", false },
	{ "faults_nofault", "failed accesses of NOFAULT commands", false },
	{ "fault_overflows", "faults dropped by a full queue, and raised again", false },
	{ "windows", "fault windows serviced", false },
	{ "retries", "passes that collided with an invalidation", false },
	{ "intervals_added", "intervals registered", false },
	{ "intervals_removed", "intervals whose removal was begun", false },
	{ "invalidations", "calls of invalidate()", false },
	{ "invalidations_useful", "of these cleared something", false },
	{ "pages_cleared", "mirrored pages cleared", false },
	{ "leaves_split", "2 MiB leaves split by a partial clear", false },
	{ "leaves_dropped", "2 MiB leaves dropped for want of a node", false },
	{ "slots_restored", "2 MiB slots read again after the kernel split a PMD", false },
	{ "attrs_kept", "unmaps that left an attribute for want of a node", false },
	{ "faults_scratch", "device faults served by the scratch page", false },
	{ "retries_false", "of the retries, those without need: not the window", false },
};

static int print_stats(FILE *file)
{
	char text[256];
	bool first = true;
	int counters = -1;

	if (common.json)
		fputs("{", stdout);
	while (fgets(text, sizeof(text), file)) {
		const struct stat_line *line = NULL;
		char *colon = strchr(text, ':'), *end;
		uint64_t value;
		size_t i;

		if (text[0] == '#')
			continue;
		if (!colon)
			return debugfs_fail("stats", -EPROTO);
		*colon = '\0';
		value = strtoull(colon + 1, &end, 0);
		if (end == colon + 1)
			return debugfs_fail("stats", -EPROTO);
		for (i = 0; i < ARRAY_SIZE(lines); i++)
			if (!strcmp(lines[i].name, text))
				line = &lines[i];

		if (common.json) {
			printf("%s\"%s\": %" PRIu64, first ? "" : ", ", text, value);
			first = false;
			continue;
		}
		if (line && counters != !line->gauge) {
			counters = !line->gauge;
			printf("%s%s%s\n", bold(), counters ? "since load or reset" : "now",
			       plain());
		}
		printf("  %-22s %14" PRIu64 "  %s\n", text, value, line ? line->words : "");
	}
	if (common.json)
		fputs("}\n", stdout);
	if (ferror(file))
		return debugfs_fail("stats", errno ? -errno : -EIO);
	return OK;
}

static int show_stats(int fd, bool reset)
{
	char path[128];
	FILE *file;
	int ret;

	ret = fakegpu_debug_path(fd, "stats", path, sizeof(path));
	if (ret)
		return debugfs_fail("stats", ret);
	file = fopen(path, "re");
	if (!file)
		return debugfs_fail("stats", -errno);
	ret = print_stats(file);
	fclose(file);
	if (ret || !reset)
		return ret;

	file = fopen(path, "we");
	if (!file)
		return debugfs_fail("stats", -errno);
	fputs("0\n", file);
	if (fclose(file))
		return debugfs_fail("stats", -errno);
	if (!common.json)
		puts("The counters are 0 now.");
	return OK;
}

int cmd_stats(int argc, char **argv)
{
	static const struct option options[] = {
		{ "reset", no_argument, NULL, 'r' },
		COMMON_OPTIONS,
		{ 0 }
	};
	bool reset = false;
	int c, fd, ret;

	while ((c = getopt_long(argc, argv, "r" COMMON_SHORT, options, NULL)) != -1) {
		if (c == 'r') {
			reset = true;
			continue;
		}
		ret = common_option(c, stats_help);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return usage("stats: '%s' is too much", argv[optind]);

	fd = device_open();
	if (fd < 0)
		return FAILED;
	ret = show_stats(fd, reset);
	close(fd);
	return ret;
}

/* ----------------------------------------------------------------- verify */

static const char verify_help[] =
	"Usage: fakegpu verify [options]\n"
	"\n"
	"Let the driver hold every entry of every mirror against what the CPU's page tables\n"
	"say, and print what differs. The exit status is 0 if nothing does. Needs root.\n"
	"\n"
	COMMON_HELP;

int cmd_verify(int argc, char **argv)
{
	static const struct option options[] = { COMMON_OPTIONS, { 0 } };
	static char report[MIB];
	int c, fd, ret;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, options, NULL)) != -1) {
		ret = common_option(c, verify_help);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return usage("verify: '%s' is too much", argv[optind]);

	fd = device_open();
	if (fd < 0)
		return FAILED;
	ret = fakegpu_verify(fd, report, sizeof(report));
	close(fd);
	if (ret < 0)
		return debugfs_fail("verify", ret);
	if (common.json)
		printf("{\"mismatches\": %d}\n", ret);
	else
		fputs(report, stdout);
	return ret ? FAILED : OK;
}
