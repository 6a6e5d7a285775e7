// SPDX-License-Identifier: MIT
/*
 * fakegpu run sum: the device and the CPU agree over a big array
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "run.h"

static const char help[] =
	"Usage: fakegpu run sum [options]\n"
	"\n"
	"The CPU fills an array with random bytes; the device copies it to memory that nobody\n"
	"has touched, compares and checksums both, and fills a third array. The CPU computes\n"
	"the same by itself, and looks at each byte.\n"
	"\n"
	"      --size SIZE          size of the array, e.g. 500K, 64M (default: 32M)\n"
	RUN_HELP;

enum { OPT_SIZE = OPT_OWN };

struct sum {
	uint8_t *src, *dst, *filled;
	size_t size;
	uint64_t pattern;
	uint32_t crc;
};

/* A page of its own, so that the results' faults are not mixed with the array's. */
static struct {
	volatile uint64_t crc_src, crc_dst, crc_filled, same, differs;
} results __attribute__((aligned(4096)));

static size_t first_difference(const void *a, const void *b, size_t size)
{
	const uint8_t *x = a, *y = b;
	size_t i;

	if (!memcmp(a, b, size))
		return size;
	for (i = 0; x[i] == y[i]; i++)
		;
	return i;
}

static bool agree(const char *what, uint64_t device, uint64_t cpu)
{
	if (device == cpu)
		return true;
	fail("sum: %s: the device says 0x%" PRIx64 ", the CPU 0x%" PRIx64, what, device, cpu);
	return false;
}

static bool check(struct run *run, uint32_t queue, struct sum *s)
{
	struct drm_fakegpu_cmd cmds[] = {
		fakegpu_copy(s->dst, s->src, s->size),
		fakegpu_checksum(s->src, s->size, &results.crc_src),
		fakegpu_checksum(s->dst, s->size, &results.crc_dst),
		fakegpu_compare(s->src, s->dst, s->size, &results.same),
		fakegpu_fill(s->filled, s->size, s->pattern),
		fakegpu_checksum(s->filled, s->size, &results.crc_filled),
	};
	struct drm_fakegpu_cmd again;
	struct rng rng = { run->seed };
	size_t spot;

	progress("sum: the CPU writes %s", human_size(s->size).s);
	rng_fill(&rng, s->src, s->size);
	s->crc = crc32c(s->src, s->size);

	progress("sum: the device computes");
	if (run_cmds(run, queue, cmds, ARRAY_SIZE(cmds)))
		return false;

	progress("sum: the CPU checks");
	if (!agree("checksum of the array", results.crc_src, s->crc) ||
	    !agree("checksum of the copy", results.crc_dst, s->crc) ||
	    !agree("first difference", results.same, s->size) ||
	    !agree("first difference of the copy, as the CPU sees it", s->size,
		   first_difference(s->src, s->dst, s->size)))
		return false;

	/* The copy is no longer needed: let the CPU do there what the device did elsewhere. */
	cpu_fill(s->dst, s->size, s->pattern);
	if (!agree("first difference of the fill, as the CPU sees it", s->size,
		   first_difference(s->filled, s->dst, s->size)) ||
	    !agree("checksum of the fill", results.crc_filled, crc32c(s->dst, s->size)))
		return false;

	/* What the CPU writes now, the device must see. */
	spot = rng_below(&rng, s->size);
	s->dst[spot] ^= 1;
	again = fakegpu_compare(s->dst, s->filled, s->size, &results.differs);
	if (run_cmds(run, queue, &again, 1))
		return false;
	return agree("place of a byte that the CPU changed", results.differs, spot);
}

static int sum(struct run *run, struct sum *s)
{
	struct drm_fakegpu_vm_get_state state = { 0 };
	uint64_t start = now_ns();
	uint32_t queue;
	bool good;

	if (run_queue(run, &queue))
		return FAILED;
	good = check(run, queue, s);
	fakegpu_vm_state(run->fd, run->vm, &state);
	fakegpu_queue_destroy(run->fd, queue);

	if (common.json)
		printf("{\"workload\": \"sum\", \"seed\": %" PRIu64 ", \"size\": %zu,"
		       " \"crc32c\": %u, \"faults\": %" PRIu64 ", \"seconds\": %.3f, \"ok\": %s}\n",
		       run->seed, s->size, s->crc, (uint64_t)state.faults,
		       (double)(now_ns() - start) / NSEC_PER_SEC, good ? "true" : "false");
	else if (good)
		printf("sum: device and CPU agree over %s: copy, fill, compare, crc32c %08x;"
		       " %s (seed %" PRIu64 ")\n", human_size(s->size).s, s->crc,
		       plural(state.faults, "device fault").s, run->seed);
	else
		printf("sum: FAILED, device and CPU don't agree (seed %" PRIu64 ")\n", run->seed);
	return good ? OK : FAILED;
}

int run_sum(struct run *run, int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, OPT_SIZE },
		RUN_OPTIONS,
		{ 0 }
	};
	struct sum s = { 0 };
	uint64_t size = 32 * MIB;
	uint8_t *memory;
	int c, ret;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, options, NULL)) != -1) {
		if (c == OPT_SIZE) {
			if (!parse_size("--size", optarg, 1, 1024 * GIB, &size))
				return USAGE;
			continue;
		}
		ret = run_option(run, c, help);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return usage("sum: '%s' is too much", argv[optind]);

	if (run_open(run))
		return FAILED;
	memory = map_memory(3 * size);
	if (!memory) {
		ret = FAILED;
	} else {
		s.size = size;
		s.src = memory;
		s.dst = memory + size;
		s.filled = memory + 2 * size;
		s.pattern = run->seed * 0x9e3779b97f4a7c15ULL + 0x0123456789abcdefULL;
		ret = sum(run, &s);
		munmap(memory, 3 * size);
	}
	run_close(run);
	return ret;
}
