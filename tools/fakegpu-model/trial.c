// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: a run in a process of its own
 *
 * The process that runs has an address space of its own, which goes with it;
 * what it did it leaves in shared memory, even if it crashes.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trial.h"

#define POLL_NS	2000000

static __thread struct model *current_model;

struct worker {
	pthread_t thread;
	struct model model;
	const struct config *config;
	const struct oplist *list;
	uint64_t seed;
};

struct shared *shared_alloc(const struct config *config)
{
	size_t size = sizeof(struct shared) +
		      (size_t)config->threads * config->room * sizeof(struct op);
	struct shared *shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (current_model)
		mismatch(current_model, "the CPU got signal %d at %p", signal, info->si_addr);
	_exit(RUN_BROKEN);
}

static void catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* One operation: noted first, so that it is known if it is the last one. */
static void do_op(struct worker *worker, const struct op *op)
{
	struct shared *shared = worker->model.run->shared;
	struct model *m = &worker->model;
	struct op *note = &shared->ops[(size_t)m->thread * worker->config->room + m->op_index];
	uint64_t begin;
	char line[1024];

	if (note != op)
		*note = *op;
	shared->count[m->thread] = m->op_index + 1;
	if (worker->config->verbose) {
		op_format(op, line, sizeof(line));
		printf("%u %s\n", m->op_index, line);
		fflush(stdout);
	}
	m->op = op;
	begin = worker->config->profile ? now_ns() : 0;
	if (exec_op(m, op))
		__atomic_add_fetch(&shared->executed, 1, __ATOMIC_RELAXED);
	else
		__atomic_add_fetch(&shared->skipped, 1, __ATOMIC_RELAXED);
	if (worker->config->profile) {
		__atomic_add_fetch(&shared->kind_ns[op->kind], now_ns() - begin, __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->kind_count[op->kind], 1, __ATOMIC_RELAXED);
	}
	m->op_index++;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct model *m = &worker->model;
	uint32_t i;

	current_model = m;
	if (worker->list) {
		for (i = 0; i < worker->list->count; i++)
			if (worker->list->ops[i].thread == m->thread)
				do_op(worker, &worker->list->ops[i]);
	} else {
		m->rng = worker->seed + m->thread * 0x632be59bd9b4e019ULL;
		for (i = 0; i < worker->config->room; i++) {
			struct op op;

			gen_op(m, &op);
			do_op(worker, &op);
		}
	}
	check_all(m);
	__atomic_add_fetch(&m->run->shared->faulted, m->faulted, __ATOMIC_RELAXED);
	return NULL;
}

static void run_workers(struct run *run, const struct config *config, const struct oplist *list,
			uint64_t seed)
{
	struct worker *workers = calloc(config->threads, sizeof(*workers));
	unsigned int i;

	if (!workers)
		broken("no memory");
	for (i = 0; i < config->threads; i++) {
		workers[i].config = config;
		workers[i].list = list;
		workers[i].seed = seed;
		if (!model_init(&workers[i].model, run, i))
			broken("can't set up the model");
	}
	if (config->threads == 1) {
		worker_main(&workers[0]);
	} else {
		for (i = 0; i < config->threads; i++)
			if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]))
				broken("can't create a thread");
		for (i = 0; i < config->threads; i++)
			pthread_join(workers[i].thread, NULL);
	}
	check_verify(&workers[0].model);
	for (i = 0; i < config->threads; i++)
		model_fini(&workers[i].model);
}

static void __attribute__((noreturn))
run_process(const struct config *config, struct shared *shared, const struct oplist *list,
	    uint64_t seed)
{
	struct drm_fakegpu_dev_info info;
	struct run run = {
		.scheme = config->scheme,
		.vm_flags = config->vm_flags,
		.interval_order = config->interval_order,
		.window_order = config->window_order,
		.threads = config->threads,
		.arena_pages = config->pages,
		.granule = config->granule,
		.dir = config->dir,
		.node = config->node,
		.nodes = config->numa_nodes,
		.shared = shared,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	catch_faults();
	run.fd = open(run.node, O_RDWR | O_CLOEXEC);
	if (run.fd < 0)
		broken("%s: %s", run.node, strerror(errno));
	if (fakegpu_dev_info(run.fd, &info))
		broken("%s is no fakegpu", run.node);
	run.va_end = info.va_end;
	vm_open(&run);
	run_workers(&run, config, list, seed);
	if (fakegpu_vm_destroy(run.fd, run.vm))
		broken("VM_DESTROY fails");
	_exit(RUN_OK);
}

static void note_failure(struct shared *shared, const char *message)
{
	shared->failed = 1;
	shared->fail_thread = 0;
	shared->fail_op = shared->count[0] ? shared->count[0] - 1 : 0;
	snprintf(shared->message, sizeof(shared->message), "%s", message);
}

enum outcome trial_run(const struct config *config, struct shared *shared,
		       const struct oplist *list, uint64_t seed, unsigned int stall,
		       unsigned int limit)
{
	const struct timespec nap = { .tv_nsec = POLL_NS };
	double begin = now_ns() / 1e9, moved = begin;
	uint64_t last = 0, seen;
	bool killed = false;
	int status;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return OUTCOME_BROKEN;
	if (!pid)
		run_process(config, shared, list, seed);

	while (!waitpid(pid, &status, WNOHANG)) {
		double now = now_ns() / 1e9;

		nanosleep(&nap, NULL);
		seen = shared->executed + shared->skipped;
		if (seen != last) {
			last = seen;
			moved = now;
		}
		if (!killed && (now - moved > stall || (limit && now - begin > limit))) {
			kill(pid, SIGKILL);
			killed = true;
		}
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == RUN_OK)
		return OUTCOME_OK;
	if (WIFEXITED(status) && WEXITSTATUS(status) == RUN_MISMATCH)
		return OUTCOME_MISMATCH;
	if (WIFEXITED(status))
		return OUTCOME_BROKEN;
	note_failure(shared, killed ? "nothing happens any more" : "the process was killed");
	return OUTCOME_MISMATCH;
}

struct oplist trial_ops(const struct config *config, const struct shared *shared)
{
	struct oplist list = { 0 };
	unsigned int i;

	for (i = 0; i < config->threads; i++)
		list.count += shared->count[i];
	list.ops = calloc(list.count + 1, sizeof(*list.ops));
	list.count = 0;
	for (i = 0; list.ops && i < config->threads; i++) {
		memcpy(list.ops + list.count, shared->ops + (size_t)i * config->room,
		       shared->count[i] * sizeof(*list.ops));
		list.count += shared->count[i];
	}
	return list;
}
