// SPDX-License-Identifier: MIT
/*
 * fakegpu-cost: each count is made by a process of its own, three times, and the least
 * is printed: what is counted besides only adds. What takes long is counted once.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cost.h"

#define TIMES		3
#define NAMES		32

static const struct party parties[] = {
	{ .name = "cpu", .kind = CPU, .few = true },
	{ .name = "floor", .kind = FLOOR },
	{ .name = "test_hmm", .kind = HMM },
	{ .name = "slot", .kind = DEVICE, .scheme = DRM_FAKEGPU_SCHEME_SLOT, .few = true },
	{ .name = "mm", .kind = DEVICE, .scheme = DRM_FAKEGPU_SCHEME_MM },
	{ .name = "fixed", .kind = DEVICE, .scheme = DRM_FAKEGPU_SCHEME_FIXED },
	{ .name = "vma", .kind = DEVICE, .scheme = DRM_FAKEGPU_SCHEME_VMA, .few = true },
	{ .name = "vma-direct", .kind = DEVICE, .scheme = DRM_FAKEGPU_SCHEME_VMA,
	  .vm_flags = DRM_FAKEGPU_VM_DIRECT },
};

#define NR_PARTIES	(sizeof(parties) / sizeof(parties[0]))

static const char help[] =
	"Usage: fakegpu-cost [options]\n"
	"\n"
	"Counts what device faults cost, and what else the driver adds, beside the kernel's\n"
	"bare part of it (floor), test_hmm and the CPU. Prints a line of JSON for each count.\n"
	"Ticks of the TSC are taken for instructions, which is what they are in an emulated\n"
	"guest with -icount; \"ticks_per_insn\" tells. A party that the kernel hasn't got is left\n"
	"out, and said so.\n"
	"\n"
	"  -f, --figure NAME  only this one (see --list); may be repeated\n"
	"  -p, --party NAME   only this one; may be repeated\n"
	"  -t, --phases       instead, how many instructions of a fault it is from tracepoint to\n"
	"                     tracepoint, served by the engine and by the worker\n"
	"  -r, --ratios       instead, what is timed on two processors, as ratios\n"
	"  -l, --list         print the names of parties and figures\n"
	"  -h, --help         print this\n"
	"\n"
	"Exit status: 0, 1 if a count has failed, 2 after a mistake in the options.\n";

void cost_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("fakegpu-cost: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* So many instructions, whatever the compiler thinks: with -icount as many ticks. */
static double ticks_per_insn(void)
{
	const uint64_t loops = 1000000;
	uint64_t n = loops, begin = __rdtsc();

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n) : : "cc");
	return (double)(__rdtsc() - begin) / (2.0 * loops);
}

/* Where there is one processor, nobody else runs in the middle of what is counted. */
static void stay_ahead(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param))
		cost_die("can't have a real-time priority: %s", strerror(errno));
}

/* Returns 0, or the status of the process: 3 if the party isn't there. */
static int count_once(const struct figure *figure, const struct party *party, bool alone,
		      double *value)
{
	struct cost c = { .party = party };
	int fds[2], status;
	ssize_t got;
	pid_t pid;

	if (pipe(fds))
		cost_die("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		cost_die("fork: %s", strerror(errno));
	if (!pid) {
		double counted;

		if (alone)
			stay_ahead();
		cost_open(&c);
		counted = figure->count(&c, figure->arg);
		_exit(write(fds[1], &counted, sizeof(counted)) != sizeof(counted));
	}
	close(fds[1]);
	got = read(fds[0], value, sizeof(*value));
	close(fds[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	if (!WEXITSTATUS(status) && got != sizeof(*value))
		return 1;
	return WEXITSTATUS(status);
}

static int count(const struct figure *figure, const struct party *party, bool alone)
{
	double least = 0, value;
	unsigned int i;
	int ret;

	for (i = 0; i < (alone && !figure->slow ? TIMES : 1U); i++) {
		ret = count_once(figure, party, alone, &value);
		if (ret)
			return ret;
		if (!i || value < least)
			least = value;
	}
	printf("{\"figure\": \"%s\", \"party\": \"%s\", \"value\": %.4f, \"unit\": \"%s\","
	       " \"brief\": \"%s\", \"ticks_per_insn\": %.3f}\n", figure->name, party->name, least,
	       figure->unit, figure->brief, ticks_per_insn());
	fflush(stdout);
	return 0;
}

/* By the device with the default scheme, which is the first of them. */
static int phases(void)
{
	const struct party *party = parties;
	int status, failed = 0, worker;
	pid_t pid;

	while (party->kind != DEVICE)
		party++;

	for (worker = 0; worker < 2; worker++) {
		struct cost c = { .party = party };

		fflush(stdout);
		pid = fork();
		if (pid < 0)
			cost_die("fork: %s", strerror(errno));
		if (!pid) {
			stay_ahead();
			cost_open(&c);
			count_phases(&c, worker);
			exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			failed = 1;
	}
	return failed;
}

static bool named(char *const *names, unsigned int nr, const char *name)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!strcmp(names[i], name))
			return true;
	return !nr;
}

static bool known(const char *name, bool party)
{
	unsigned int i;

	for (i = 0; party && i < NR_PARTIES; i++)
		if (!strcmp(name, parties[i].name))
			return true;
	for (i = 0; !party && i < nr_figures; i++)
		if (!strcmp(name, figures[i].name))
			return true;
	for (i = 0; !party && i < nr_ratios; i++)
		if (!strcmp(name, ratios[i].name))
			return true;
	return false;
}

static void list(void)
{
	unsigned int i;

	printf("Parties:\n");
	for (i = 0; i < NR_PARTIES; i++)
		printf("  %s\n", parties[i].name);
	printf("Figures:\n");
	for (i = 0; i < nr_figures; i++)
		printf("  %-14s %s: %s\n", figures[i].name, figures[i].unit, figures[i].brief);
	printf("Ratios:\n");
	for (i = 0; i < nr_ratios; i++)
		printf("  %-14s %s: %s\n", ratios[i].name, ratios[i].unit, ratios[i].brief);
}

static void add_name(char **names, unsigned int *nr, char *name, bool party)
{
	if (!known(name, party)) {
		fprintf(stderr, "fakegpu-cost: no %s '%s' (see --list)\n",
			party ? "party" : "figure", name);
		exit(2);
	}
	if (*nr == NAMES) {
		fprintf(stderr, "fakegpu-cost: at most %d names\n", NAMES);
		exit(2);
	}
	names[(*nr)++] = name;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "figure", required_argument, NULL, 'f' },
		{ "party", required_argument, NULL, 'p' },
		{ "phases", no_argument, NULL, 't' },
		{ "ratios", no_argument, NULL, 'r' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	char *wanted_figures[NAMES], *wanted_parties[NAMES];
	unsigned int nr_wanted = 0, nr_parties = 0, nr = nr_figures, i, j;
	const struct figure *all = figures;
	bool left_out[NR_PARTIES] = { false };
	int c, failed = 0;

	while ((c = getopt_long(argc, argv, "f:p:trlh", options, NULL)) >= 0) {
		switch (c) {
		case 'f':
			add_name(wanted_figures, &nr_wanted, optarg, false);
			break;
		case 'p':
			add_name(wanted_parties, &nr_parties, optarg, true);
			break;
		case 't':
			return phases();
		case 'r':
			all = ratios;
			nr = nr_ratios;
			ratios_start();
			break;
		case 'l':
			list();
			return 0;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			fputs("Try fakegpu-cost --help.\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "fakegpu-cost: unexpected argument '%s'\n", argv[optind]);
		return 2;
	}

	for (i = 0; i < nr; i++) {
		for (j = 0; j < NR_PARTIES; j++) {
			int ret;

			if (left_out[j] || !(all[i].by & BY(parties[j].kind)) ||
			    (all[i].slow && !parties[j].few) ||
			    !named(wanted_figures, nr_wanted, all[i].name) ||
			    !named(wanted_parties, nr_parties, parties[j].name))
				continue;
			ret = count(&all[i], &parties[j], all == figures);
			if (ret == 3) {
				left_out[j] = true;
			} else if (ret) {
				fprintf(stderr, "fakegpu-cost: %s by %s failed\n", all[i].name,
					parties[j].name);
				failed = 1;
			}
		}
	}
	return failed;
}
