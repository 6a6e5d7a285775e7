// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: the shadow model's pages, objects and bytes
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model.h"

#define BUFS_AT_ONCE	256

const uint8_t zero_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

void mismatch(struct model *m, const char *format, ...)
{
	struct shared *shared = m->run->shared;
	size_t room = sizeof(shared->message), len = 0;
	va_list args;
	int ret;

	/* The first one counts; the others' threads end with the process. */
	if (__atomic_exchange_n(&shared->failed, 1, __ATOMIC_ACQ_REL)) {
		if (m->child)
			_exit(RUN_MISMATCH);
		for (;;)
			pause();
	}
	shared->fail_thread = m->thread;
	shared->fail_op = m->op_index;
	if (m->child)
		len = snprintf(shared->message, room, "in the forked child: ");
	va_start(args, format);
	ret = vsnprintf(shared->message + len, room - len, format, args);
	va_end(args);
	if (ret < 0)
		shared->message[len] = '\0';
	_exit(RUN_MISMATCH);
}

void broken(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("fakegpu-model: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(RUN_BROKEN);
}

/* splitmix64 */
uint64_t rng_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void pattern(uint8_t *to, size_t len, uint64_t x, uint64_t phase)
{
	uint64_t word;
	size_t i;

	phase %= 8;
	word = phase ? (x >> (8 * phase)) | (x << (64 - 8 * phase)) : x;
	for (i = 0; i + 8 <= len; i += 8)
		memcpy(to + i, &word, 8);
	memcpy(to + i, &word, len - i);
}

/* -------------------------------------------------------------- addresses */

uint8_t *page_addr(const struct model *m, uint32_t page)
{
	uint64_t granule = page / m->granule;
	uint64_t index = (granule * m->run->threads + m->thread) * m->granule + page % m->granule;

	return (uint8_t *)(uintptr_t)(ARENA_BASE + (index << PAGE_SHIFT));
}

uint8_t *byte_addr(const struct model *m, uint64_t off)
{
	return page_addr(m, off >> PAGE_SHIFT) + (off & (PAGE_SIZE - 1));
}

bool addr_to_off(const struct model *m, uint64_t addr, uint64_t *off)
{
	uint64_t index, granule, size = (uint64_t)m->npages * m->run->threads;

	if (addr < ARENA_BASE || (addr - ARENA_BASE) >> PAGE_SHIFT >= size)
		return false;
	index = (addr - ARENA_BASE) >> PAGE_SHIFT;
	granule = index / m->granule;
	if (granule % m->run->threads != m->thread)
		return false;
	*off = ((granule / m->run->threads * m->granule + index % m->granule) << PAGE_SHIFT) |
	       (addr & (PAGE_SIZE - 1));
	return true;
}

bool in_granule(const struct model *m, uint64_t page, uint64_t count)
{
	return count && count <= m->granule && page < m->npages &&
	       page % m->granule + count <= m->granule;
}

/* ---------------------------------------------------------------- buffers */

uint8_t *buf_get(struct model *m, const uint8_t *from)
{
	uint8_t *buf;

	if (!m->free_bufs) {
		unsigned int i;

		/* The device reads it, too: pages of their own, and nothing else there. */
		buf = mmap(NULL, BUFS_AT_ONCE * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (buf == MAP_FAILED)
			broken("no memory for the model");
		for (i = 0; i < BUFS_AT_ONCE; i++)
			buf_put(m, buf + i * PAGE_SIZE);
	}
	buf = m->free_bufs;
	memcpy(&m->free_bufs, buf, sizeof(m->free_bufs));
	memcpy(buf, from ? from : zero_page, PAGE_SIZE);
	return buf;
}

void buf_put(struct model *m, uint8_t *buf)
{
	if (!buf)
		return;
	memcpy(buf, &m->free_bufs, sizeof(m->free_bufs));
	m->free_bufs = buf;
}

/* ---------------------------------------------------------------- objects */

struct object *object_new(struct model *m, uint32_t pages)
{
	unsigned int i;

	for (i = NAMED_OBJS; i < MAX_OBJS; i++) {
		struct object *obj = &m->objs[i];

		if (obj->used)
			continue;
		obj->data = calloc(pages, sizeof(*obj->data));
		if (!obj->data)
			broken("no memory for the model");
		obj->used = true;
		obj->fd = -1;
		obj->pages = pages;
		obj->room = pages;
		obj->maps = 0;
		return obj;
	}
	return NULL;
}

static void object_put(struct model *m, struct object *obj)
{
	if (--obj->maps || obj->fd >= 0)
		return;
	object_zero(m, obj, 0, obj->room);
	free(obj->data);
	obj->data = NULL;
	obj->used = false;
}

void object_zero(struct model *m, struct object *obj, uint32_t first, uint32_t end)
{
	uint32_t i;

	for (i = first; i < end && i < obj->room; i++) {
		buf_put(m, obj->data[i]);
		obj->data[i] = NULL;
	}
}

void object_write(struct model *m, struct object *obj, uint64_t off, const uint8_t *from,
		  uint32_t len)
{
	while (len) {
		uint32_t page = off >> PAGE_SHIFT, in_page = off & (PAGE_SIZE - 1);
		uint32_t part = len < PAGE_SIZE - in_page ? len : PAGE_SIZE - in_page;

		if (!obj->data[page])
			obj->data[page] = buf_get(m, NULL);
		memcpy(obj->data[page] + in_page, from, part);
		off += part;
		from += part;
		len -= part;
	}
}

/* ------------------------------------------------------------------ pages */

struct object *page_object(struct model *m, const struct page *p)
{
	return p->obj ? &m->objs[p->obj - 1] : NULL;
}

bool page_backed(struct model *m, const struct page *p)
{
	return !p->obj || p->objpage < m->objs[p->obj - 1].pages;
}

const uint8_t *page_content(struct model *m, const struct page *p)
{
	struct object *obj = page_object(m, p);

	if (!p->shared && (!obj || (p->flags & PG_OWN)))
		return p->data ? p->data : zero_page;
	return obj->data[p->objpage] ? obj->data[p->objpage] : zero_page;
}

bool cpu_readable(struct model *m, const struct page *p)
{
	/* What can be written can be read on x86. */
	return p->mapped && p->prot && page_backed(m, p);
}

bool cpu_writable(struct model *m, const struct page *p)
{
	return p->mapped && (p->prot & P_W) && page_backed(m, p);
}

int device_error(struct model *m, const struct page *p, bool write)
{
	if (!p->mapped || !(p->prot & P_R))
		return -EFAULT;
	if (write && !(p->prot & P_W))
		return -EPERM;
	return page_backed(m, p) ? 0 : -EFAULT;
}

void page_zap(struct model *m, struct page *p)
{
	buf_put(m, p->data);
	buf_put(m, p->alt);
	p->data = NULL;
	p->alt = NULL;
	p->flags &= ~(PG_OWN | PG_LAZY | PG_AMBIGUOUS);
}

void page_unmap(struct model *m, struct page *p)
{
	if (!p->mapped)
		return;
	page_zap(m, p);
	if (p->obj)
		object_put(m, page_object(m, p));
	memset(p, 0, sizeof(*p));
}

void page_own(struct model *m, struct page *p)
{
	if (p->shared || !p->obj || (p->flags & PG_OWN))
		return;
	p->data = buf_get(m, page_content(m, p));
	p->flags |= PG_OWN;
}

void page_write(struct model *m, uint32_t page, uint32_t offset, const void *from, uint32_t len)
{
	struct page *p = &m->pages[page];

	if (p->shared) {
		object_write(m, page_object(m, p), ((uint64_t)p->objpage << PAGE_SHIFT) + offset,
			     from, len);
		return;
	}
	page_own(m, p);
	if (p->flags & PG_LAZY) {
		p->flags ^= PG_LAZY | PG_AMBIGUOUS;
		p->alt = buf_get(m, NULL);
	}
	if (!p->data)
		p->data = buf_get(m, NULL);
	memcpy(p->data + offset, from, len);
	if (p->alt)
		memcpy(p->alt + offset, from, len);
}

/* ------------------------------------------------------------ begin, end */

static void open_object(struct model *m, unsigned int i)
{
	struct object *obj = &m->objs[i];
	char path[256];

	obj->used = true;
	obj->room = OBJ_PAGES;
	obj->pages = 64 << (i % 3);
	obj->data = calloc(obj->room, sizeof(*obj->data));
	if (!obj->data)
		broken("no memory for the model");
	if (i < NAMED_OBJS / 2) {
		obj->fd = memfd_create("fakegpu-model", MFD_CLOEXEC);
	} else {
		snprintf(path, sizeof(path), "%s/fakegpu-model.XXXXXX", m->run->dir);
		obj->fd = mkostemp(path, O_CLOEXEC);
		if (obj->fd >= 0)
			unlink(path);
	}
	if (obj->fd < 0 || ftruncate(obj->fd, (off_t)obj->pages << PAGE_SHIFT))
		broken("can't make a file in %s: %s", m->run->dir, strerror(errno));
}

bool model_init(struct model *m, struct run *run, unsigned int thread)
{
	unsigned int i;

	memset(m, 0, sizeof(*m));
	m->run = run;
	m->thread = thread;
	m->npages = run->arena_pages;
	m->granule = run->granule;
	m->next_vma = 1;
	m->pages = calloc(m->npages, sizeof(*m->pages));
	m->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (!m->pages || m->pagemap < 0)
		return false;
	for (i = 0; i < NAMED_OBJS; i++)
		open_object(m, i);
	for (i = 0; i < QUEUES; i++) {
		m->queues[i].results = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m->queues[i].results == MAP_FAILED)
			return false;
		queue_open(m, &m->queues[i]);
	}
	return true;
}

void model_fini(struct model *m)
{
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		queue_close(m, &m->queues[i]);
}
