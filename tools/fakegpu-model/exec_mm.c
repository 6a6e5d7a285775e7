// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: operations on the address space and on objects, done for real
 * and in the model
 *
 * Those that change no byte and no right (PAGEOUT, migration, a split of huge
 * pages ...) run while the device works on the same pages; the others wait for
 * submissions that touch what they change, and only for these.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec.h"

#define MIGRATE_MAX	32

void exec_result(struct model *m, const char *what, int ret, int expected)
{
	if (ret != expected)
		mismatch(m, "%s: expected %s, got %s", what,
			 expected ? strerror(expected) : "success",
			 ret ? strerror(ret) : "success");
}

int mmap_prot(uint8_t prot)
{
	return (prot & P_R ? PROT_READ : 0) | (prot & P_W ? PROT_WRITE : 0);
}

/* Pages whose VMA is cut out of another one: neighbours may no longer be in the same. */
void vma_renew(struct model *m, uint32_t page, uint32_t count)
{
	uint32_t i, old = 0, new = 0;

	for (i = page; i < page + count; i++) {
		if (i == page || m->pages[i].vma != old) {
			old = m->pages[i].vma;
			new = m->next_vma++;
		}
		m->pages[i].vma = new;
	}
}

static bool any_mapped(struct model *m, uint32_t page, uint32_t count)
{
	uint32_t i;

	for (i = page; i < page + count; i++)
		if (m->pages[i].mapped)
			return true;
	return false;
}

static void set_pages(struct model *m, const struct op *op, struct object *obj, bool shared)
{
	uint32_t i, vma = m->next_vma++;

	for (i = 0; i < op->n; i++) {
		struct page *p = &m->pages[op->at + i];

		/* The new ones are counted first, as the last of the old may free the object. */
		if (obj)
			obj->maps++;
		page_unmap(m, p);
		p->mapped = true;
		p->shared = shared;
		p->prot = op->prot;
		p->vma = vma;
		if (obj) {
			p->obj = obj - m->objs + 1;
			p->objpage = op->to + i;
		}
	}
}

static bool exec_map(struct model *m, const struct op *op)
{
	bool shared = op->sub == MAP_SUB_SHARED || op->sub == MAP_SUB_SHARED_ANON;
	bool named = op->sub == MAP_SUB_SHARED || op->sub == MAP_SUB_PRIVATE;
	int flags = shared ? MAP_SHARED : MAP_PRIVATE, fd = -1;
	struct object *obj = NULL;
	uint8_t *addr;
	void *p;

	if (!in_granule(m, op->at, op->n))
		return false;
	if (named && (op->obj >= NAMED_OBJS || op->to + op->n > OBJ_PAGES))
		return false;
	if (!named && op->to)
		return false;
	if (named) {
		obj = &m->objs[op->obj];
		fd = obj->fd;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	if (op->sub == MAP_SUB_SHARED_ANON) {
		obj = object_new(m, op->n);
		if (!obj)
			return false;
	}

	finish_pages(m, op->at, op->n);
	if (op->flags & MAP_FLAG_POPULATE) {
		flags |= MAP_POPULATE;
		if (obj)
			finish_object(m, obj);
	}
	flags |= op->flags & MAP_FLAG_NOREPLACE ? MAP_FIXED_NOREPLACE : MAP_FIXED;
	addr = page_addr(m, op->at);
	p = mmap(addr, (size_t)op->n << PAGE_SHIFT, mmap_prot(op->prot), flags, fd,
		 (off_t)op->to << PAGE_SHIFT);
	if ((op->flags & MAP_FLAG_NOREPLACE) && any_mapped(m, op->at, op->n)) {
		exec_result(m, "mmap over what is mapped", p == MAP_FAILED ? -errno : 0, -EEXIST);
		if (obj && !named) {
			free(obj->data);
			obj->used = false;
		}
		return true;
	}
	exec_result(m, "mmap", p == addr ? 0 : -errno, 0);
	set_pages(m, op, obj, shared);
	if ((op->flags & MAP_FLAG_POPULATE) && named)
		resolve_own(m, op->at, op->n);
	return true;
}

static bool exec_unmap(struct model *m, const struct op *op)
{
	uint32_t i;

	if (!in_granule(m, op->at, op->n))
		return false;
	finish_pages(m, op->at, op->n);
	exec_result(m, "munmap", munmap(page_addr(m, op->at), (size_t)op->n << PAGE_SHIFT) ?
		    -errno : 0, 0);
	for (i = op->at; i < op->at + op->n; i++)
		page_unmap(m, &m->pages[i]);
	return true;
}

static bool exec_protect(struct model *m, const struct op *op)
{
	uint32_t count = 0;
	int ret;

	if (!in_granule(m, op->at, op->n))
		return false;
	finish_pages(m, op->at, op->n);
	ret = mprotect(page_addr(m, op->at), (size_t)op->n << PAGE_SHIFT, mmap_prot(op->prot));
	/* It goes as far as there is no hole. */
	while (count < op->n && m->pages[op->at + count].mapped) {
		m->pages[op->at + count].prot = op->prot;
		count++;
	}
	exec_result(m, "mprotect", ret ? -errno : 0, count == op->n ? 0 : -ENOMEM);
	vma_renew(m, op->at, count);
	return true;
}

/* The part of a range of bytes that may be accessed by the CPU. */
static uint32_t cpu_part(struct model *m, const struct op *op, bool write)
{
	uint64_t off = op->at, end = off + op->n;

	if (!op->n || !in_granule(m, off >> PAGE_SHIFT,
				  ((end - 1) >> PAGE_SHIFT) - (off >> PAGE_SHIFT) + 1))
		return 0;
	while (off < end) {
		const struct page *p = &m->pages[off >> PAGE_SHIFT];

		if (!(write ? cpu_writable(m, p) : cpu_readable(m, p)))
			break;
		off = (off | (PAGE_SIZE - 1)) + 1;
	}
	return (off < end ? off : end) - op->at;
}

static bool exec_read(struct model *m, const struct op *op)
{
	uint32_t len = cpu_part(m, op, false), off = op->at, page, from, part;

	if (!len)
		return false;
	finish_access(m, off >> PAGE_SHIFT,
		      ((off + len - 1) >> PAGE_SHIFT) - (off >> PAGE_SHIFT) + 1);
	while (len) {
		page = off >> PAGE_SHIFT;
		from = off & (PAGE_SIZE - 1);
		part = len < PAGE_SIZE - from ? len : PAGE_SIZE - from;
		check_page(m, page, from, from + part, "a read by the CPU");
		off += part;
		len -= part;
	}
	return true;
}

void write_both(struct model *m, uint64_t off, uint32_t len, uint64_t x)
{
	uint8_t bytes[PAGE_SIZE];
	uint64_t phase = 0;

	while (len) {
		uint32_t page = off >> PAGE_SHIFT, from = off & (PAGE_SIZE - 1);
		uint32_t part = len < PAGE_SIZE - from ? len : PAGE_SIZE - from;

		pattern(bytes, part, x, phase);
		memcpy(page_addr(m, page) + from, bytes, part);
		page_write(m, page, from, bytes, part);
		check_page(m, page, 0, PAGE_SIZE, "a write by the CPU");
		off += part;
		phase += part;
		len -= part;
	}
}

static bool exec_write(struct model *m, const struct op *op)
{
	uint32_t len = cpu_part(m, op, true), page = op->at >> PAGE_SHIFT;

	if (!len)
		return false;
	finish_access(m, page, ((op->at + len - 1) >> PAGE_SHIFT) - page + 1);
	write_both(m, op->at, len, op->x);
	return true;
}

/* ---------------------------------------------------------------- objects */

static bool exec_truncate(struct model *m, const struct op *op)
{
	struct object *obj;
	uint32_t i;

	if (op->obj >= NAMED_OBJS || op->n > OBJ_PAGES)
		return false;
	obj = &m->objs[op->obj];
	finish_object(m, obj);
	exec_result(m, "ftruncate", ftruncate(obj->fd, (off_t)op->n << PAGE_SHIFT) ? -errno : 0, 0);
	object_zero(m, obj, op->n, obj->room);
	/* Private copies behind the end go, too. */
	if (op->n < obj->pages)
		for (i = 0; i < m->npages; i++)
			if (m->pages[i].obj == op->obj + 1 && m->pages[i].objpage >= op->n)
				page_zap(m, &m->pages[i]);
	obj->pages = op->n;
	return true;
}

static bool exec_punch(struct model *m, const struct op *op)
{
	struct object *obj;

	if (op->obj >= NAMED_OBJS || !op->n || op->to + op->n > OBJ_PAGES)
		return false;
	obj = &m->objs[op->obj];
	finish_object(m, obj);
	if (fallocate(obj->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)op->to << PAGE_SHIFT, (off_t)op->n << PAGE_SHIFT)) {
		exec_result(m, "fallocate", -errno, -EOPNOTSUPP);
		return true;
	}
	object_zero(m, obj, op->to, op->to + op->n);
	return true;
}

/* Bytes of the object that a read or write may touch without changing its size. */
static uint32_t object_part(const struct object *obj, const struct op *op)
{
	uint64_t end = (uint64_t)obj->pages << PAGE_SHIFT;

	if (op->to >= end)
		return 0;
	return op->n < end - op->to ? op->n : end - op->to;
}

static bool exec_pwrite(struct model *m, const struct op *op)
{
	uint8_t bytes[4 * PAGE_SIZE];
	struct object *obj;
	uint32_t len;

	if (op->obj >= NAMED_OBJS || op->n > sizeof(bytes))
		return false;
	obj = &m->objs[op->obj];
	len = object_part(obj, op);
	if (!len)
		return false;
	finish_object(m, obj);
	pattern(bytes, len, op->x, 0);
	exec_result(m, "pwrite", pwrite(obj->fd, bytes, len, op->to) == (ssize_t)len ? 0 : -EIO, 0);
	object_write(m, obj, op->to, bytes, len);
	return true;
}

static bool exec_pread(struct model *m, const struct op *op)
{
	uint8_t bytes[4 * PAGE_SIZE];
	struct object *obj;
	uint32_t len, i, page;

	if (op->obj >= NAMED_OBJS || op->n > sizeof(bytes))
		return false;
	obj = &m->objs[op->obj];
	len = object_part(obj, op);
	if (!len)
		return false;
	finish_object(m, obj);
	exec_result(m, "pread", pread(obj->fd, bytes, len, op->to) == (ssize_t)len ? 0 : -EIO, 0);
	for (i = 0; i < len; i++) {
		const uint8_t *want;

		page = (op->to + i) >> PAGE_SHIFT;
		want = obj->data[page] ? obj->data[page] : zero_page;
		if (bytes[i] != want[(op->to + i) & (PAGE_SIZE - 1)])
			mismatch(m, "pread of object %u, page %u, offset %u: expected 0x%02x, read 0x%02x",
				 op->obj, page, (op->to + i) & (PAGE_SIZE - 1),
				 want[(op->to + i) & (PAGE_SIZE - 1)], bytes[i]);
	}
	return true;
}

/* ------------------------------------- what changes neither bytes nor rights */

static bool exec_migrate(struct model *m, const struct op *op)
{
	void *addrs[MIGRATE_MAX];
	int nodes[MIGRATE_MAX], status[MIGRATE_MAX];
	uint32_t i;

	if (!in_granule(m, op->at, op->n) || op->n > MIGRATE_MAX || m->run->nodes < 2)
		return false;
	for (i = 0; i < op->n; i++) {
		addrs[i] = page_addr(m, op->at + i);
		nodes[i] = op->x % m->run->nodes;
	}
	/* What can't be moved stays. */
	syscall(SYS_move_pages, 0, (unsigned long)op->n, addrs, nodes, status, 1 << 1);
	return true;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static bool exec_split(struct model *m, const struct op *op)
{
	char text[80];

	if (!in_granule(m, op->at, op->n))
		return false;
	snprintf(text, sizeof(text), "%d,%p,%p", getpid(), (void *)page_addr(m, op->at),
		 (void *)(page_addr(m, op->at) + ((size_t)op->n << PAGE_SHIFT)));
	/* Not everywhere, and what can't be split stays. */
	return write_text("/sys/kernel/debug/split_huge_pages", text);
}

static bool exec_sync(struct model *m, const struct op *op)
{
	if (!in_granule(m, op->at, op->n))
		return false;
	msync(page_addr(m, op->at), (size_t)op->n << PAGE_SHIFT, MS_SYNC);
	return true;
}

static bool exec_system(struct model *m, const struct op *op)
{
	switch (op->sub) {
	case SYS_COMPACT:
		return write_text("/proc/sys/vm/compact_memory", "1");
	case SYS_SOFT_DIRTY:
		return write_text("/proc/self/clear_refs", "4");
	default:
		check_verify(m);
		return true;
	}
}

/* -------------------------------------------------------------------- all */

static bool exec_query(struct model *m, const struct op *op)
{
	if (!in_granule(m, op->at, op->n))
		return false;
	check_query(m, op->at, op->n);
	return true;
}

static bool exec_vm(struct model *m)
{
	unsigned int i;
	int ret;

	if (m->run->threads > 1)
		return false;
	finish_all(m);
	for (i = 0; i < QUEUES; i++)
		queue_close(m, &m->queues[i]);
	ret = fakegpu_vm_destroy(m->run->fd, m->run->vm);
	if (ret)
		mismatch(m, "VM_DESTROY: %s", strerror(-ret));
	vm_open(m->run);
	for (i = 0; i < QUEUES; i++)
		queue_open(m, &m->queues[i]);
	return true;
}

static bool exec_queue(struct model *m, const struct op *op)
{
	struct queue *queue = &m->queues[op->queue % QUEUES];

	queue_finish(m, queue);
	queue_close(m, queue);
	queue_open(m, queue);
	return true;
}

bool exec_op(struct model *m, const struct op *op)
{
	switch (op->kind) {
	case OP_MAP:
		return exec_map(m, op);
	case OP_UNMAP:
		return exec_unmap(m, op);
	case OP_PROTECT:
		return exec_protect(m, op);
	case OP_REMAP:
		return exec_remap(m, op);
	case OP_ADVISE:
		return exec_advise(m, op);
	case OP_READ:
		return exec_read(m, op);
	case OP_WRITE:
		return exec_write(m, op);
	case OP_DEVICE:
		return exec_device(m, op);
	case OP_PREFETCH:
		return exec_prefetch(m, op);
	case OP_QUERY:
		return exec_query(m, op);
	case OP_TRUNCATE:
		return exec_truncate(m, op);
	case OP_PUNCH:
		return exec_punch(m, op);
	case OP_PWRITE:
		return exec_pwrite(m, op);
	case OP_PREAD:
		return exec_pread(m, op);
	case OP_FORK:
		return exec_fork(m, op);
	case OP_MIGRATE:
		return exec_migrate(m, op);
	case OP_SPLIT:
		return exec_split(m, op);
	case OP_SYNC:
		return exec_sync(m, op);
	case OP_SYSTEM:
		return exec_system(m, op);
	case OP_VM:
		return exec_vm(m);
	case OP_QUEUE:
		return exec_queue(m, op);
	case OP_CHECK:
		check_all(m);
		return true;
	}
	return false;
}
