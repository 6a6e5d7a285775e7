// SPDX-License-Identifier: MIT
/*
 * fakegpu run: choose a workload
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run.h"

static const struct {
	const char *name;
	int (*run)(struct run *run, int argc, char **argv);
	const char *brief;
} workloads[] = {
	{ "sum", run_sum, "fill, copy, compare and checksum a big array" },
	{ "list", run_list, "chase pointers through malloc'd nodes" },
	{ "churn", run_churn, "threads map, compute, compare and unmap, at random" },
	{ "semaphore", run_semaphore, "CPU and device hand a counter back and forth" },
	{ "tour", run_tour, "tell, step by step, how munmap reaches the mirror" },
};

static void print_help(FILE *to)
{
	size_t i;

	fputs("Usage: fakegpu run WORKLOAD [options]\n"
	      "\n"
	      "Run a workload on the device, on plain pointers of this process, and check on the\n"
	      "CPU what the device has computed.\n"
	      "\n"
	      "Workloads:\n", to);
	for (i = 0; i < ARRAY_SIZE(workloads); i++)
		fprintf(to, "  %-10s %s\n", workloads[i].name, workloads[i].brief);
	fputs("\n"
	      "'fakegpu run WORKLOAD --help' lists its options.\n"
	      "Exit status: 0 if the device and the CPU agree, 1 if not.\n", to);
}

int run_option(struct run *run, int c, const char *help)
{
	uint64_t value;

	switch (c) {
	case OPT_SCHEME:
		if (fakegpu_scheme_parse(optarg, &run->scheme, &run->vm_flags))
			return usage("--scheme: '%s' is none of slot, vma, mm, fixed, slot-direct, vma-direct",
				     optarg);
		return -1;
	case OPT_INTERVAL_ORDER:
		if (!parse_number("--interval-order", optarg, 12, 63, &value))
			return USAGE;
		run->interval_order = value;
		return -1;
	case OPT_WINDOW_ORDER:
		if (!parse_number("--window-order", optarg, 12, 63, &value))
			return USAGE;
		run->window_order = value;
		return -1;
	case OPT_SEED:
		if (!parse_number("--seed", optarg, 0, UINT64_MAX, &run->seed))
			return USAGE;
		run->seed_set = true;
		return -1;
	default:
		return common_option(c, help);
	}
}

static int refuse_orders(const struct run *run)
{
	const struct drm_fakegpu_dev_info *info = &run->info;

	if ((run->vm_flags & DRM_FAKEGPU_VM_DIRECT) && !(info->flags & DRM_FAKEGPU_DEV_DIRECT))
		return fail("--scheme: this kernel can't change intervals in callbacks;"
			    " boot one with the series, as KERNEL=series");
	if ((run->scheme == DRM_FAKEGPU_SCHEME_MM || run->scheme == DRM_FAKEGPU_SCHEME_FIXED) &&
	    run->interval_order)
		return fail("--interval-order means nothing with --scheme %s: leave it out",
			    scheme_name(run->scheme, run->vm_flags));
	if (run->interval_order && (run->interval_order < info->interval_order_min ||
				    run->interval_order > info->interval_order_max))
		return fail("--interval-order: this device takes %u to %u",
			    info->interval_order_min, info->interval_order_max);
	if (run->window_order && (run->window_order < info->window_order_min ||
				  run->window_order > info->window_order_max))
		return fail("--window-order: this device takes %u to %u",
			    info->window_order_min, info->window_order_max);
	return 0;
}

int run_open(struct run *run)
{
	uint32_t range;
	int ret;

	if (!run->seed_set)
		run->seed = random_seed();
	run->fd = device_open();
	if (run->fd < 0)
		return -1;

	ret = fakegpu_dev_info(run->fd, &run->info);
	if (ret) {
		fail("the device doesn't answer: %s", strerror(-ret));
		goto err_close;
	}
	if (refuse_orders(run))
		goto err_close;
	ret = fakegpu_vm_create(run->fd, run->vm_flags, run->scheme, run->interval_order,
				run->window_order, &run->vm);
	if (ret) {
		fail("can't create a VM: %s", strerror(-ret));
		goto err_close;
	}
	if (run->scheme == DRM_FAKEGPU_SCHEME_FIXED)
		ret = fakegpu_range_register(run->fd, run->vm, run->info.va_start,
					     run->info.va_end - run->info.va_start, &range);
	if (ret) {
		fail("can't register the address space: %s", strerror(-ret));
		goto err_close;
	}
	return 0;

err_close:
	close(run->fd);
	return -1;
}

int run_queue(struct run *run, uint32_t *queue)
{
	int ret = fakegpu_queue_create(run->fd, run->vm, queue);

	if (!ret)
		return 0;
	fail("can't create a queue: %s", strerror(-ret));
	return -1;
}

void run_close(struct run *run)
{
	int ret = fakegpu_vm_destroy(run->fd, run->vm);

	if (ret)
		fail("can't destroy the VM: %s", strerror(-ret));
	close(run->fd);
}

void explain_fatal(struct run *run, uint32_t queue)
{
	struct drm_fakegpu_queue_get_state state;

	if (fakegpu_queue_state(run->fd, queue, &state) ||
	    !(state.flags & DRM_FAKEGPU_QUEUE_FATAL))
		return;
	fail("queue %u: fatal fault at 0x%" PRIx64 " in command %u of submission %" PRIu64 ": %s",
	     queue, (uint64_t)state.fault_addr, state.cmd_index, (uint64_t)state.completed + 1,
	     strerror(state.error));
}

int run_cmds(struct run *run, uint32_t queue, const struct drm_fakegpu_cmd *cmds, uint32_t count)
{
	int ret = fakegpu_run(run->fd, queue, cmds, count);

	if (!ret)
		return 0;
	fail("the device didn't do its work: %s", strerror(-ret));
	if (ret == -EIO)
		explain_fatal(run, queue);
	return ret;
}

void *map_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		return p;
	fail("no memory for %s: %s", human_size(size).s, strerror(errno));
	return NULL;
}

int cmd_run(int argc, char **argv)
{
	static const struct option options[] = { RUN_OPTIONS, { 0 } };
	struct run run = { .fd = -1 };
	int c, ret;
	size_t i;

	/* Options may come before the workload's name as well. */
	while ((c = getopt_long(argc, argv, "+" COMMON_SHORT, options, NULL)) != -1) {
		if (c == OPT_HELP) {
			print_help(stdout);
			return OK;
		}
		ret = run_option(&run, c, "");
		if (ret >= 0)
			return ret;
	}
	if (optind == argc) {
		print_help(stderr);
		return USAGE;
	}
	argc -= optind;
	argv += optind;
	for (i = 0; i < ARRAY_SIZE(workloads); i++) {
		char full[48];

		if (strcmp(workloads[i].name, argv[0]))
			continue;
		snprintf(full, sizeof(full), "fakegpu run %s", workloads[i].name);
		argv[0] = full;
		optind = 0;
		return workloads[i].run(&run, argc, argv);
	}
	fail("there is no workload '%s'", argv[0]);
	print_help(stderr);
	return USAGE;
}
