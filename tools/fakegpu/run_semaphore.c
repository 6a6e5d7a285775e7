// SPDX-License-Identifier: MIT
/*
 * fakegpu run semaphore: CPU and device take turns through shared memory
 *
 * Odd turns belong to the device, even ones to the CPU. Who hands over the turn
 * has written its side of the data before: the CPU the ball, the device the
 * echo. So each round proves both orderings, acquire and release.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "run.h"

static const char help[] =
	"Usage: fakegpu run semaphore [options]\n"
	"\n"
	"The CPU writes a number and a turn counter; the device waits for its turn, copies the\n"
	"number elsewhere and gives the turn back; the CPU waits for that and compares.\n"
	"\n"
	"      --rounds N           how often (default: 1000)\n"
	RUN_HELP;

enum { OPT_ROUNDS = OPT_OWN };

#define CMDS_PER_ROUND 3
#define PATIENCE (60 * NSEC_PER_SEC)

struct court {
	_Alignas(64) _Atomic uint64_t turn;
	_Alignas(64) uint64_t ball;
	_Alignas(64) uint64_t echo;
};

static int submit_rounds(struct run *run, uint32_t queue, struct court *court,
			 struct drm_fakegpu_cmd *cmds, uint64_t first, uint64_t rounds)
{
	volatile uint64_t *turn = (volatile uint64_t *)&court->turn;
	uint64_t i, n = 0;

	for (i = first; i < first + rounds; i++) {
		cmds[n++] = fakegpu_sem_wait(turn, 2 * i + 1, 0);
		cmds[n++] = fakegpu_copy(&court->echo, &court->ball, sizeof(court->ball));
		/* Both ways to signal must do. */
		cmds[n++] = i & 1 ? fakegpu_sem_signal(turn, 1, DRM_FAKEGPU_SEM_ADD) :
				    fakegpu_sem_signal(turn, 2 * i + 2, 0);
	}
	return fakegpu_submit(run->fd, queue, cmds, n, NULL);
}

static bool play(struct run *run, uint32_t queue, struct court *court, struct rng *rng, uint64_t i)
{
	uint64_t ball = rng_next(rng), start = now_ns(), turn;
	unsigned int spins = 0;

	court->ball = ball;
	atomic_store_explicit(&court->turn, 2 * i + 1, memory_order_release);
	while ((turn = atomic_load_explicit(&court->turn, memory_order_acquire)) == 2 * i + 1) {
		if (++spins % 64)
			continue;
		sched_yield();
		if (now_ns() - start < PATIENCE)
			continue;
		fail("semaphore: round %" PRIu64 ": the device didn't answer for %llu s", i,
		     PATIENCE / NSEC_PER_SEC);
		explain_fatal(run, queue);
		return false;
	}
	if (turn == 2 * i + 2 && court->echo == ball)
		return true;
	fail("semaphore: round %" PRIu64 ": turn %" PRIu64 ", number 0x%" PRIx64
	     " came back as 0x%" PRIx64, i, turn, ball, court->echo);
	return false;
}

static bool play_all(struct run *run, uint32_t queue, struct court *court, uint64_t rounds)
{
	uint64_t batch = run->info.max_cmds / CMDS_PER_ROUND, first, i;
	struct rng rng = { run->seed };
	struct drm_fakegpu_cmd *cmds;
	bool good = batch > 0;
	int ret;

	if (batch > 256)
		batch = 256;
	cmds = calloc(batch, CMDS_PER_ROUND * sizeof(*cmds));
	if (!cmds)
		return false;
	for (first = 0; good && first < rounds; first += batch) {
		uint64_t n = rounds - first < batch ? rounds - first : batch;

		ret = submit_rounds(run, queue, court, cmds, first, n);
		if (ret) {
			fail("semaphore: can't submit: %s", strerror(-ret));
			good = false;
		}
		for (i = first; good && i < first + n; i++) {
			progress("semaphore: round %" PRIu64 " of %" PRIu64, i, rounds);
			good = play(run, queue, court, &rng, i);
		}
	}
	free(cmds);
	return good;
}

static int semaphore(struct run *run, uint64_t rounds)
{
	struct drm_fakegpu_vm_get_state state = { 0 };
	uint64_t start = now_ns(), ns;
	struct court *court;
	uint32_t queue;
	bool good;

	court = map_memory(sizeof(*court));
	if (!court)
		return FAILED;
	if (run_queue(run, &queue)) {
		munmap(court, sizeof(*court));
		return FAILED;
	}
	good = play_all(run, queue, court, rounds);
	ns = now_ns() - start;
	fakegpu_vm_state(run->fd, run->vm, &state);
	fakegpu_queue_destroy(run->fd, queue);
	munmap(court, sizeof(*court));

	if (common.json)
		printf("{\"workload\": \"semaphore\", \"seed\": %" PRIu64 ","
		       " \"rounds\": %" PRIu64 ", \"faults\": %" PRIu64 ","
		       " \"seconds\": %.3f, \"ok\": %s}\n", run->seed, rounds,
		       (uint64_t)state.faults, (double)ns / NSEC_PER_SEC,
		       good ? "true" : "false");
	else if (good)
		printf("semaphore: %s there and back, each in order, %.1f us each; %s"
		       " (seed %" PRIu64 ")\n", plural(rounds, "round").s,
		       (double)ns / 1000 / rounds,
		       plural(state.faults, "device fault").s, run->seed);
	else
		printf("semaphore: FAILED (seed %" PRIu64 ")\n", run->seed);
	return good ? OK : FAILED;
}

int run_semaphore(struct run *run, int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, OPT_ROUNDS },
		RUN_OPTIONS,
		{ 0 }
	};
	uint64_t rounds = 1000;
	int c, ret;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, options, NULL)) != -1) {
		if (c == OPT_ROUNDS) {
			if (!parse_number("--rounds", optarg, 1, 1000000000, &rounds))
				return USAGE;
			continue;
		}
		ret = run_option(run, c, help);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return usage("semaphore: '%s' is too much", argv[optind]);

	if (run_open(run))
		return FAILED;
	ret = semaphore(run, rounds);
	run_close(run);
	return ret;
}
