// SPDX-License-Identifier: MIT
/*
 * fakegpu - look at and try out the fakegpu simulator
 */
#include <string.h>

#include "tool.h"

static int cmd_help(int argc, char **argv);

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *brief;
} commands[] = {
	{ "info", cmd_info, "the devices: version, limits, defaults" },
	{ "mirror", cmd_mirror, "what the device can see of a process: mirror, intervals, faults" },
	{ "stats", cmd_stats, "gauges and counters of a device" },
	{ "verify", cmd_verify, "hold all mirrors against the CPU's page tables" },
	{ "run", cmd_run, "run a workload on the device and check it on the CPU" },
	{ "help", cmd_help, "this, or the help of a command" },
};

static void print_help(FILE *to)
{
	size_t i;

	fputs("Usage: fakegpu [-d N] COMMAND [options]\n"
	      "\n"
	      "fakegpu is a GPU that exists only in software. Its device computes on plain user\n"
	      "pointers and takes device faults where its page table, the mirror, has no entry.\n"
	      "\n"
	      "Commands:\n", to);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-8s  %s\n", commands[i].name, commands[i].brief);
	fputs("\n"
	      "'fakegpu COMMAND --help' tells more. mirror, stats and verify need root.\n"
	      "Exit status: 0 all is well, 1 it is not, 2 the command line is wrong.\n", to);
}

static int run_command(const char *name, int argc, char **argv)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		char full[32];

		if (strcmp(commands[i].name, name))
			continue;
		/* So that getopt's messages name the command. */
		snprintf(full, sizeof(full), "fakegpu %s", name);
		argv[0] = full;
		optind = 0;
		return commands[i].main(argc, argv);
	}
	fail("there is no command '%s'", name);
	print_help(stderr);
	return USAGE;
}

static int cmd_help(int argc, char **argv)
{
	char option[sizeof("--help")];
	char *args[3] = { NULL, option, NULL };

	memcpy(option, "--help", sizeof(option));
	if (argc > 1 && strcmp(argv[1], "help") && argv[1][0] != '-')
		return run_command(argv[1], 2, args);
	print_help(stdout);
	return OK;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { COMMON_OPTIONS, { 0 } };
	int c, ret;

	/* '+': stop at the command; what follows is its own. */
	while ((c = getopt_long(argc, argv, "+" COMMON_SHORT, options, NULL)) != -1) {
		if (c == OPT_HELP) {
			print_help(stdout);
			return OK;
		}
		ret = common_option(c, "");
		if (ret >= 0)
			return ret;
	}
	if (optind == argc) {
		print_help(stderr);
		return USAGE;
	}
	ret = run_command(argv[optind], argc - optind, argv + optind);
	if (fflush(stdout) || ferror(stdout)) {
		fail("can't write the output");
		return ret ? ret : FAILED;
	}
	return ret;
}
