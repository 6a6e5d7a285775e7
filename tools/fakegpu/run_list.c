// SPDX-License-Identifier: MIT
/*
 * fakegpu run list: the device follows pointers through malloc'd memory
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

static const char help[] =
	"Usage: fakegpu run list [options]\n"
	"\n"
	"Link malloc'd nodes of random sizes in random order and let the device follow the\n"
	"pointers and add up the values. Then take out and free every other node, give the\n"
	"free memory back to the kernel, and do it again.\n"
	"\n"
	"      --nodes N            number of nodes (default: 100000)\n"
	RUN_HELP;

enum { OPT_NODES = OPT_OWN };

struct node {
	uint64_t value;
	struct node *next;
	/* and some more bytes, so that nodes differ in size */
};

static struct {
	volatile uint64_t nodes, sum;
} result __attribute__((aligned(4096)));

static struct node **make_nodes(struct rng *rng, size_t count)
{
	struct node **nodes = calloc(count, sizeof(*nodes));
	size_t i, j;

	if (!nodes)
		return NULL;
	for (i = 0; i < count; i++) {
		nodes[i] = malloc(sizeof(*nodes[i]) + rng_below(rng, 200));
		if (!nodes[i])
			goto err_free;
		nodes[i]->value = rng_next(rng);
	}
	for (i = count - 1; i; i--) {
		struct node *tmp = nodes[i];

		j = rng_below(rng, i + 1);
		nodes[i] = nodes[j];
		nodes[j] = tmp;
	}
	return nodes;

err_free:
	while (i--)
		free(nodes[i]);
	free(nodes);
	return NULL;
}

static void link_nodes(struct node **nodes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		nodes[i]->next = i + 1 < count ? nodes[i + 1] : NULL;
}

static bool chase(struct run *run, uint32_t queue, const struct node *head, uint64_t max)
{
	struct drm_fakegpu_cmd cmd = fakegpu_chase(head, max, offsetof(struct node, next),
						   offsetof(struct node, value), &result.nodes);
	uint64_t visited = 0, sum = 0;

	for (; head && visited < max; head = head->next) {
		visited++;
		sum += head->value;
	}
	progress("list: the device follows %" PRIu64 " pointers", visited);
	if (run_cmds(run, queue, &cmd, 1))
		return false;
	if (result.nodes == visited && result.sum == sum)
		return true;
	fail("list: the device visited %" PRIu64 " nodes, sum 0x%" PRIx64
	     "; the CPU %" PRIu64 ", sum 0x%" PRIx64, result.nodes, result.sum, visited, sum);
	return false;
}

static int list(struct run *run, size_t count)
{
	struct drm_fakegpu_vm_get_state state = { 0 };
	struct rng rng = { run->seed };
	uint64_t start = now_ns();
	struct node **nodes;
	size_t left, i;
	uint32_t queue;
	bool good;

	nodes = make_nodes(&rng, count);
	if (!nodes)
		return fail("no memory for %zu nodes", count);
	if (run_queue(run, &queue)) {
		for (i = 0; i < count; i++)
			free(nodes[i]);
		free(nodes);
		return FAILED;
	}

	link_nodes(nodes, count);
	good = chase(run, queue, nodes[0], count + 1) &&
	       chase(run, queue, nodes[0], count / 2 + 1);

	for (left = 0, i = 0; i < count; i++) {
		if (i & 1)
			free(nodes[i]);
		else
			nodes[left++] = nodes[i];
	}
	link_nodes(nodes, left);
	malloc_trim(0);
	good = good && chase(run, queue, nodes[0], count + 1);

	fakegpu_vm_state(run->fd, run->vm, &state);
	fakegpu_queue_destroy(run->fd, queue);
	if (common.json)
		printf("{\"workload\": \"list\", \"seed\": %" PRIu64 ", \"nodes\": %zu,"
		       " \"faults\": %" PRIu64 ", \"seconds\": %.3f, \"ok\": %s}\n",
		       run->seed, count, (uint64_t)state.faults,
		       (double)(now_ns() - start) / NSEC_PER_SEC, good ? "true" : "false");
	else if (good)
		printf("list: device and CPU agree over %zu malloc'd nodes, and over the %zu"
		       " that were left; %s (seed %" PRIu64 ")\n", count, left,
		       plural(state.faults, "device fault").s, run->seed);
	else
		printf("list: FAILED, device and CPU don't agree (seed %" PRIu64 ")\n", run->seed);

	for (i = 0; i < left; i++)
		free(nodes[i]);
	free(nodes);
	return good ? OK : FAILED;
}

int run_list(struct run *run, int argc, char **argv)
{
	static const struct option options[] = {
		{ "nodes", required_argument, NULL, OPT_NODES },
		RUN_OPTIONS,
		{ 0 }
	};
	uint64_t count = 100000;
	int c, ret;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, options, NULL)) != -1) {
		if (c == OPT_NODES) {
			if (!parse_number("--nodes", optarg, 1, 100000000, &count))
				return USAGE;
			continue;
		}
		ret = run_option(run, c, help);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return usage("list: '%s' is too much", argv[optind]);

	if (run_open(run))
		return FAILED;
	ret = list(run, count);
	run_close(run);
	return ret;
}
