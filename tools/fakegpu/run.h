/* SPDX-License-Identifier: MIT */
/*
 * fakegpu run: what the workloads share
 */
#ifndef FAKEGPU_TOOL_RUN_H
#define FAKEGPU_TOOL_RUN_H

#include "tool.h"

struct run {
	/* From the options. */
	uint32_t scheme;
	uint32_t vm_flags;
	uint32_t interval_order;
	uint32_t window_order;
	uint64_t seed;
	bool seed_set;
	/* From run_open(). */
	int fd;
	uint32_t vm;
	struct drm_fakegpu_dev_info info;
};

int run_sum(struct run *run, int argc, char **argv);
int run_list(struct run *run, int argc, char **argv);
int run_churn(struct run *run, int argc, char **argv);
int run_semaphore(struct run *run, int argc, char **argv);
int run_tour(struct run *run, int argc, char **argv);

#define RUN_OPTIONS								\
	{ "scheme", required_argument, NULL, OPT_SCHEME },			\
	{ "interval-order", required_argument, NULL, OPT_INTERVAL_ORDER },	\
	{ "window-order", required_argument, NULL, OPT_WINDOW_ORDER },		\
	{ "seed", required_argument, NULL, OPT_SEED },				\
	COMMON_OPTIONS
#define RUN_HELP								\
	"\n"									\
	"      --scheme S           slot: intervals are aligned slots (default);\n"	\
	"                           vma: what of a VMA lies in such a slot;\n"	\
	"                           mm: one interval over the address space;\n"	\
	"                           fixed: likewise, registered at the start;\n"	\
	"                           slot-direct, vma-direct: intervals are changed in the\n" \
	"                           callbacks, not by a worker, if the kernel can do it\n" \
	"      --interval-order N   slots of 2^N bytes (default: the device's)\n"	\
	"      --window-order N     fault windows of 2^N bytes (default: the device's)\n" \
	"      --seed N             start of the random numbers (default: a new one)\n" \
	"  -d, --device N           use the Nth fakegpu device (default: 0)\n"	\
	"      --json               print the result as JSON\n"			\
	"  -h, --help               print this\n"

/* Like common_option(), for RUN_OPTIONS. */
int run_option(struct run *run, int c, const char *help);

/* Open the device and create the VM. Both print what is wrong and return -1 then. */
int run_open(struct run *run);
int run_queue(struct run *run, uint32_t *queue);
/* Undo; the queues must be destroyed before. */
void run_close(struct run *run);

/*
 * Submit @cmds, wait. Says where and why if there was a fatal fault. Returns 0
 * or a negative errno.
 */
int run_cmds(struct run *run, uint32_t queue, const struct drm_fakegpu_cmd *cmds, uint32_t count);
void explain_fatal(struct run *run, uint32_t queue);

/* mmap() without a file, or NULL after saying that there is no memory. */
void *map_memory(size_t size);

#endif
