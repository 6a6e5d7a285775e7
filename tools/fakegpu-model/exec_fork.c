// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: fork
 *
 * The child gets a copy of the model with the memory that it describes. First
 * the parent writes, by CPU and device, and the child looks at what must not
 * have reached it; then the child writes, by CPU and a VM of its own, and the
 * parent looks. What is shared each of them writes to its model for the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec.h"

#define MAX_ACCESSES	16
#define CHILD_CHECKS	12

struct access {
	uint32_t off;
	uint32_t len;
	uint64_t x;
	bool device;
};

struct list {
	struct access accesses[MAX_ACCESSES];
	uint32_t count;
};

/* Is a submission of the parent under way there, so that the child can't know? */
static bool in_flight(struct model *m, uint32_t page)
{
	const struct page *p = &m->pages[page];
	unsigned int i;
	uint32_t j;

	for (i = 0; i < QUEUES; i++) {
		const struct queue *queue = &m->queues[i];

		if (!queue->pending)
			continue;
		if (p->obj && (queue->objs & (1ULL << (p->obj - 1))))
			return true;
		for (j = 0; j < queue->nranges; j++)
			if (page - queue->ranges[j].page < queue->ranges[j].count)
				return true;
	}
	return false;
}

static void draw_list(struct model *m, struct list *list, uint64_t *rng, uint32_t n, bool child)
{
	uint32_t tries;

	list->count = 0;
	for (tries = 0; tries < 8 * n && list->count < n; tries++) {
		uint32_t page = rng_below(rng, m->npages), offset;
		struct access *access = &list->accesses[list->count];
		const struct page *p = &m->pages[page];

		offset = rng_below(rng, PAGE_SIZE - 8);
		access->off = (page << PAGE_SHIFT) + offset;
		access->len = 1 + rng_below(rng, PAGE_SIZE - offset);
		access->x = rng_next(rng);
		access->device = rng_next(rng) & 1;
		if (device_error(m, p, true))
			continue;
		if (child && ((p->flags & PG_DONTFORK) || in_flight(m, page)))
			continue;
		list->count++;
	}
}

static void write_device(struct model *m, const struct access *access)
{
	uint8_t *addr = byte_addr(m, access->off);
	struct drm_fakegpu_cmd cmd = fakegpu_fill(addr, access->len, access->x);
	uint8_t bytes[PAGE_SIZE];
	int ret;

	ret = fakegpu_run(m->run->fd, m->queues[0].id, &cmd, 1);
	if (ret)
		mismatch(m, "a write by the device around fork: %s", strerror(-ret));
	pattern(bytes, access->len, access->x, 0);
	page_write(m, access->off >> PAGE_SHIFT, access->off & (PAGE_SIZE - 1), bytes,
		   access->len);
	check_page(m, access->off >> PAGE_SHIFT, 0, PAGE_SIZE,
		   "after a write by the device around fork");
}

static void do_list(struct model *m, const struct list *list)
{
	uint32_t i;

	for (i = 0; i < list->count; i++) {
		const struct access *access = &list->accesses[i];

		if (!m->child)
			finish_access(m, access->off >> PAGE_SHIFT, 1);
		if (access->device)
			write_device(m, access);
		else
			write_both(m, access->off, access->len, access->x);
	}
}

/* What the other process did reaches us where memory is shared. */
static void note_list(struct model *m, const struct list *list)
{
	uint8_t bytes[PAGE_SIZE];
	uint32_t i;

	for (i = 0; i < list->count; i++) {
		const struct access *access = &list->accesses[i];
		uint32_t page = access->off >> PAGE_SHIFT;

		if (!m->pages[page].shared)
			continue;
		pattern(bytes, access->len, access->x, 0);
		page_write(m, page, access->off & (PAGE_SIZE - 1), bytes, access->len);
	}
}

static void check_list(struct model *m, const struct list *list, const char *what)
{
	uint32_t i;

	for (i = 0; i < list->count; i++)
		check_page(m, list->accesses[i].off >> PAGE_SHIFT, 0, PAGE_SIZE, what);
}

/* The model of a child's memory, made of its parent's. */
static void child_model(struct model *m)
{
	static bool unknown[1 << 20];
	uint32_t i;

	for (i = 0; i < m->npages; i++)
		unknown[i] = in_flight(m, i);
	for (i = 0; i < m->npages; i++) {
		struct page *p = &m->pages[i];

		if (unknown[i] || (p->flags & PG_DONTFORK))
			page_unmap(m, p);
		else if (p->flags & PG_WIPEONFORK)
			page_zap(m, p);
	}
	for (i = 0; i < QUEUES; i++)
		m->queues[i].pending = false;
}

/* The parent's VM must not be used by us (I9). */
static void child_refused(struct model *m)
{
	struct drm_fakegpu_cmd cmd = fakegpu_fill(page_addr(m, 0), PAGE_SIZE, ~0ULL);
	int ret;

	ret = fakegpu_submit(m->run->fd, m->queues[0].id, &cmd, 1, NULL);
	if (ret != -EPERM)
		mismatch(m, "SUBMIT to the parent's queue: expected EPERM, got %s",
			 ret ? strerror(-ret) : "success");
	ret = fakegpu_prefetch(m->run->fd, m->run->vm, 0, page_addr(m, 0), PAGE_SIZE, NULL);
	if (ret != -EPERM)
		mismatch(m, "PREFETCH in the parent's VM: expected EPERM, got %s",
			 ret ? strerror(-ret) : "success");
}

static void child_compare(struct model *m, uint32_t page)
{
	const struct page *p = &m->pages[page];
	static uint64_t result;
	struct drm_fakegpu_cmd cmd;
	int ret;

	check_page(m, page, 0, PAGE_SIZE, "a read by the CPU after fork");
	if (device_error(m, p, false) || (p->flags & PG_LAZY))
		return;
	cmd = fakegpu_compare(page_addr(m, page), page_content(m, p), PAGE_SIZE, &result);
	result = ~0ULL;
	ret = fakegpu_run(m->run->fd, m->queues[0].id, &cmd, 1);
	if (ret || result != PAGE_SIZE)
		mismatch(m, "the device compares page %u (%p): %s, first difference at %llu", page,
			 (void *)page_addr(m, page), strerror(-ret), (unsigned long long)result);
}

static void __attribute__((noreturn))
child_main(struct model *m, const struct op *op, const struct list *parents,
	   const struct list *own, uint64_t rng, int go)
{
	static struct run run;
	uint32_t i;
	char byte;

	m->child = true;
	child_model(m);
	child_refused(m);
	run = *m->run;
	run.fd = open(run.node, O_RDWR | O_CLOEXEC);
	if (run.fd < 0)
		broken("%s: %s", run.node, strerror(errno));
	m->run = &run;
	vm_open(&run);
	queue_open(m, &m->queues[0]);

	/* One half looks while the parent writes. */
	for (i = 0; i < CHILD_CHECKS / 2; i++) {
		uint32_t page = rng_below(&rng, m->npages);

		if (!m->pages[page].shared && !m->pages[page].obj)
			child_compare(m, page);
	}
	if (read(go, &byte, 1) != 1)
		_exit(RUN_BROKEN);
	note_list(m, parents);
	for (i = 0; i < parents->count; i++)
		child_compare(m, parents->accesses[i].off >> PAGE_SHIFT);
	do_list(m, own);
	for (i = 0; i < own->count; i++)
		child_compare(m, own->accesses[i].off >> PAGE_SHIFT);
	for (i = 0; i < CHILD_CHECKS / 2; i++)
		child_compare(m, rng_below(&rng, m->npages));
	if (!(op->flags & FORK_FLAG_UNTIDY)) {
		queue_close(m, &m->queues[0]);
		if (fakegpu_vm_destroy(run.fd, run.vm))
			mismatch(m, "VM_DESTROY fails");
		close(run.fd);
	}
	_exit(RUN_OK);
}

bool exec_fork(struct model *m, const struct op *op)
{
	struct list parents, own;
	uint32_t n = op->n < MAX_ACCESSES ? op->n : MAX_ACCESSES;
	uint64_t rng = op->x;
	int go[2], status;
	pid_t pid;

	/* The one that both use; what is left to do for it may end it. */
	queue_finish(m, &m->queues[0]);
	draw_list(m, &parents, &rng, n, false);
	draw_list(m, &own, &rng, n, true);
	if (pipe2(go, O_CLOEXEC))
		broken("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		broken("fork: %s", strerror(errno));
	if (!pid) {
		close(go[1]);
		child_main(m, op, &parents, &own, rng, go[0]);
	}
	close(go[0]);
	do_list(m, &parents);
	if (write(go[1], "", 1) != 1 && errno != EPIPE)
		broken("pipe: %s", strerror(errno));
	close(go[1]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			broken("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		mismatch(m, "the forked child got signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
	note_list(m, &own);
	check_list(m, &parents, "the parent's memory after fork");
	check_list(m, &own, "the parent's memory after the child has written");
	return true;
}
