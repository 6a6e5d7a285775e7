// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: commands of the device, for real and in the model
 *
 * A submission is first executed in the model, which so knows its results, or
 * the command and the address at which it must stop and what is done until
 * then. It is waited for when something is to happen that concerns its pages.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "exec.h"

#define WAIT_NS		(120LL * 1000000000)
#define SLOT_WORDS	4

static bool ranges_meet(uint32_t a, uint32_t count_a, uint32_t b, uint32_t count_b)
{
	return a < b + count_b && b < a + count_a;
}

/* ----------------------------------------------------------------- queues */

void vm_open(struct run *run)
{
	uint32_t range;
	int ret = fakegpu_vm_create(run->fd, run->vm_flags, run->scheme, run->interval_order,
				    run->window_order, &run->vm);

	if (ret)
		broken("VM_CREATE: %s", strerror(-ret));
	if (run->scheme == DRM_FAKEGPU_SCHEME_FIXED)
		ret = fakegpu_range_register(run->fd, run->vm, 0, run->va_end, &range);
	if (ret)
		broken("RANGE_REGISTER: %s", strerror(-ret));
}

void queue_open(struct model *m, struct queue *queue)
{
	int ret = fakegpu_queue_create(m->run->fd, m->run->vm, &queue->id);

	if (ret)
		broken("QUEUE_CREATE: %s", strerror(-ret));
	queue->pending = false;
}

void queue_close(struct model *m, struct queue *queue)
{
	int ret = fakegpu_queue_destroy(m->run->fd, queue->id);

	if (ret)
		mismatch(m, "QUEUE_DESTROY: %s", strerror(-ret));
}

/* A fatal fault: is it the right one? */
static void check_fatal(struct model *m, struct queue *queue, const struct expect *expect)
{
	struct drm_fakegpu_queue_get_state state;
	struct drm_fakegpu_fault_info info;
	uint32_t count = 1;
	int ret;

	ret = fakegpu_queue_state(m->run->fd, queue->id, &state);
	if (ret)
		mismatch(m, "QUEUE_GET_STATE: %s", strerror(-ret));
	if (!expect->error)
		mismatch(m, "fatal fault in command %u at 0x%lx: %s; none was expected",
			 state.cmd_index, (uint64_t)state.fault_addr, strerror(state.error));
	if (!(state.flags & DRM_FAKEGPU_QUEUE_FATAL) || state.error != (uint32_t)-expect->error ||
	    state.fault_addr != expect->fault_addr || state.cmd_index != expect->cmd)
		mismatch(m, "fatal fault: expected command %u at 0x%lx: %s; seen command %u at 0x%lx: %s",
			 expect->cmd, expect->fault_addr, strerror(-expect->error),
			 state.cmd_index, (uint64_t)state.fault_addr, strerror(state.error));
	if (expect->has_done && state.cmd_done != expect->done)
		mismatch(m, "the command with the fatal fault says that %lu bytes are done, expected %lu",
			 (uint64_t)state.cmd_done, expect->done);
	if (m->run->threads > 1)
		return;

	/* Other queues of ours may have failed since; the newest one need not be this one. */
	ret = fakegpu_vm_faults(m->run->fd, m->run->vm, &info, &count, NULL);
	if (ret || !count)
		mismatch(m, "VM_GET_FAULTS: %s", ret ? strerror(-ret) : "nothing in it");
	if (info.queue_id == queue->id &&
	    (info.addr != expect->fault_addr || info.error != (uint32_t)-expect->error ||
	     info.access != expect->access || info.cmd_index != expect->cmd ||
	     info.seqno != queue->seqno))
		mismatch(m, "VM_GET_FAULTS: expected access %u at 0x%lx, error %d; seen access %u at 0x%lx, error %u",
			 expect->access, expect->fault_addr, -expect->error, info.access,
			 (uint64_t)info.addr, info.error);
}

static void check_results(struct model *m, struct queue *queue, const struct expect *expect)
{
	unsigned int i, j;

	for (i = 0; i < MAX_CMDS; i++) {
		if (!expect->has_result[i])
			continue;
		for (j = 0; j < 2; j++)
			if (queue->results[i * SLOT_WORDS + j] != expect->result[i][j])
				mismatch(m, "result of command %u: expected 0x%lx 0x%lx, seen 0x%lx 0x%lx",
					 i, expect->result[i][0], expect->result[i][1],
					 queue->results[i * SLOT_WORDS],
					 queue->results[i * SLOT_WORDS + 1]);
	}
}

void queue_finish(struct model *m, struct queue *queue)
{
	const struct expect *expect = &queue->expect;
	uint32_t i;
	int ret;

	if (!queue->pending)
		return;
	queue->pending = false;
	ret = fakegpu_wait(m->run->fd, queue->id, queue->seqno, WAIT_NS);
	if (ret == -ETIME)
		mismatch(m, "the device hangs");
	if (ret && ret != -EIO)
		mismatch(m, "WAIT: %s", strerror(-ret));
	if (ret == -EIO) {
		check_fatal(m, queue, expect);
		m->faulted++;
		queue_close(m, queue);
		queue_open(m, queue);
	} else if (expect->error) {
		mismatch(m, "no fatal fault; expected one in command %u at 0x%lx: %s",
			 expect->cmd, expect->fault_addr, strerror(-expect->error));
	}
	check_results(m, queue, expect);
	for (i = 0; i < queue->nranges; i++) {
		const struct range *range = &queue->ranges[i];

		if (!range->write)
			continue;
		if (expect->error || expect->resolve)
			resolve_own(m, range->page, range->count);
		check_pages(m, range->page, range->count, "after a write by the device");
	}
}

void finish_all(struct model *m)
{
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		queue_finish(m, &m->queues[i]);
}

void finish_pages(struct model *m, uint32_t page, uint32_t count)
{
	unsigned int i;
	uint32_t j;

	for (i = 0; i < QUEUES; i++) {
		struct queue *queue = &m->queues[i];

		for (j = 0; queue->pending && j < queue->nranges; j++)
			if (ranges_meet(queue->ranges[j].page, queue->ranges[j].count, page, count))
				queue_finish(m, queue);
	}
}

static void finish_mask(struct model *m, uint64_t objs)
{
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		if (m->queues[i].objs & objs)
			queue_finish(m, &m->queues[i]);
}

static uint64_t pages_objs(const struct model *m, uint32_t page, uint32_t count)
{
	uint64_t objs = 0;
	uint32_t i;

	for (i = page; i < page + count; i++)
		if (m->pages[i].obj)
			objs |= 1ULL << (m->pages[i].obj - 1);
	return objs;
}

void finish_access(struct model *m, uint32_t page, uint32_t count)
{
	finish_pages(m, page, count);
	finish_mask(m, pages_objs(m, page, count));
}

void finish_object(struct model *m, const struct object *obj)
{
	finish_mask(m, 1ULL << (obj - m->objs));
}

/* -------------------------------------------------- commands in the model */

static void fails(struct model *m, struct batch *batch, uint32_t cmd, uint64_t off, int error,
		  uint32_t access)
{
	struct expect *expect = &batch->expect;

	expect->error = error;
	expect->fault_addr = (uintptr_t)byte_addr(m, off);
	expect->cmd = cmd;
	expect->access = access;
}

static int off_error(struct model *m, uint64_t off, bool write)
{
	return device_error(m, &m->pages[off >> PAGE_SHIFT], write);
}

static uint32_t to_page_end(uint64_t off, uint64_t left)
{
	uint32_t part = PAGE_SIZE - (off & (PAGE_SIZE - 1));

	return left < part ? left : part;
}

static const uint8_t *content_at(struct model *m, uint64_t off)
{
	return page_content(m, &m->pages[off >> PAGE_SHIFT]) + (off & (PAGE_SIZE - 1));
}

/* Copies what the device reads there; returns the bytes that it could read. */
static uint32_t model_read(struct model *m, uint64_t off, void *to, uint32_t len)
{
	uint32_t done = 0, part;

	while (done < len && !off_error(m, off + done, false)) {
		part = to_page_end(off + done, len - done);
		memcpy((uint8_t *)to + done, content_at(m, off + done), part);
		done += part;
	}
	return done;
}

static uint32_t model_write(struct model *m, uint64_t off, const void *from, uint32_t len)
{
	uint32_t done = 0, part;

	while (done < len && !off_error(m, off + done, true)) {
		part = to_page_end(off + done, len - done);
		page_write(m, (off + done) >> PAGE_SHIFT, (off + done) & (PAGE_SIZE - 1),
			   (const uint8_t *)from + done, part);
		done += part;
	}
	return done;
}

static void model_fill(struct model *m, struct batch *batch, uint32_t index,
		       const struct cmd *cmd)
{
	uint8_t bytes[PAGE_SIZE];
	uint64_t done = 0;

	while (done < cmd->n) {
		uint32_t part = to_page_end(cmd->a + done, cmd->n - done);

		pattern(bytes, part, cmd->x, done);
		if (!model_write(m, cmd->a + done, bytes, part))
			break;
		done += part;
	}
	if (done < cmd->n) {
		fails(m, batch, index, cmd->a + done, off_error(m, cmd->a + done, true),
		      DRM_FAKEGPU_ACCESS_WRITE);
		batch->expect.done = done;
		batch->expect.has_done = true;
	}
}

static void model_copy(struct model *m, struct batch *batch, uint32_t index,
		       const struct cmd *cmd)
{
	uint8_t bytes[PAGE_SIZE];
	uint64_t done = 0;
	int error = 0;

	while (done < cmd->n) {
		uint32_t part = to_page_end(cmd->b + done, cmd->n - done);

		part = to_page_end(cmd->a + done, part);
		error = off_error(m, cmd->b + done, false);
		if (error) {
			fails(m, batch, index, cmd->b + done, error, DRM_FAKEGPU_ACCESS_READ);
			break;
		}
		error = off_error(m, cmd->a + done, true);
		if (error) {
			fails(m, batch, index, cmd->a + done, error, DRM_FAKEGPU_ACCESS_WRITE);
			break;
		}
		model_read(m, cmd->b + done, bytes, part);
		model_write(m, cmd->a + done, bytes, part);
		done += part;
	}
	if (error) {
		batch->expect.done = done;
		batch->expect.has_done = true;
	}
}

static void model_touch(struct model *m, struct batch *batch, uint32_t index,
			const struct cmd *cmd)
{
	bool write = cmd->flags & CMD_FLAG_WRITE;
	uint64_t done;

	if (write)
		batch->expect.resolve = true;
	for (done = 0; done < cmd->n; done += cmd->x) {
		uint64_t off = cmd->a + done;
		int error = off_error(m, off, write);

		if (!error) {
			if (write)
				page_write(m, off >> PAGE_SHIFT, off & (PAGE_SIZE - 1), NULL, 0);
			/* The rest of the page is the same. */
			while (done + cmd->x < cmd->n &&
			       (cmd->a + done + cmd->x) >> PAGE_SHIFT == off >> PAGE_SHIFT)
				done += cmd->x;
		} else if (!(cmd->flags & CMD_FLAG_NOFAULT)) {
			fails(m, batch, index, off, error,
			      write ? DRM_FAKEGPU_ACCESS_WRITE : DRM_FAKEGPU_ACCESS_READ);
			return;
		}
	}
}

static bool model_compare(struct model *m, struct batch *batch, uint32_t index,
			  const struct cmd *cmd, uint64_t *result)
{
	uint64_t done = 0;
	uint32_t i;

	while (done < cmd->n) {
		uint32_t part = to_page_end(cmd->b + done, cmd->n - done);
		const uint8_t *a, *b;
		int error;

		part = to_page_end(cmd->a + done, part);
		error = off_error(m, cmd->a + done, false);
		if (error) {
			fails(m, batch, index, cmd->a + done, error, DRM_FAKEGPU_ACCESS_READ);
			return false;
		}
		error = off_error(m, cmd->b + done, false);
		if (error) {
			fails(m, batch, index, cmd->b + done, error, DRM_FAKEGPU_ACCESS_READ);
			return false;
		}
		a = content_at(m, cmd->a + done);
		b = content_at(m, cmd->b + done);
		if (memcmp(a, b, part)) {
			for (i = 0; a[i] == b[i]; i++)
				;
			*result = done + i;
			return true;
		}
		done += part;
	}
	*result = cmd->n;
	return true;
}

/* CRC-32C, eight bytes at a time. */
static uint32_t crc_table[8][256];

static void __attribute__((constructor)) crc_init(void)
{
	uint32_t i, j, crc;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (j = 0; j < 8; j++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
		crc_table[0][i] = crc;
	}
	for (i = 0; i < 256; i++)
		for (j = 1; j < 8; j++)
			crc_table[j][i] = crc_table[0][crc_table[j - 1][i] & 0xff] ^
					  (crc_table[j - 1][i] >> 8);
}

static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		word ^= crc;
		crc = crc_table[7][word & 0xff] ^ crc_table[6][(word >> 8) & 0xff] ^
		      crc_table[5][(word >> 16) & 0xff] ^ crc_table[4][(word >> 24) & 0xff] ^
		      crc_table[3][(word >> 32) & 0xff] ^ crc_table[2][(word >> 40) & 0xff] ^
		      crc_table[1][(word >> 48) & 0xff] ^ crc_table[0][word >> 56];
	}
	for (; len; p++, len--)
		crc = crc_table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
	return crc;
}

static bool model_checksum(struct model *m, struct batch *batch, uint32_t index,
			   const struct cmd *cmd, uint64_t *result)
{
	uint32_t crc = ~0U;
	uint64_t done = 0;

	while (done < cmd->n) {
		uint32_t part = to_page_end(cmd->a + done, cmd->n - done);
		int error = off_error(m, cmd->a + done, false);

		if (error) {
			fails(m, batch, index, cmd->a + done, error, DRM_FAKEGPU_ACCESS_READ);
			batch->expect.done = done;
			batch->expect.has_done = true;
			return false;
		}
		crc = crc32c(crc, content_at(m, cmd->a + done), part);
		done += part;
	}
	*result = (uint32_t)~crc;
	return true;
}

static bool model_atomic(struct model *m, struct batch *batch, uint32_t index,
			 const struct cmd *cmd, uint64_t *result)
{
	int error = off_error(m, cmd->a, true);
	uint64_t old = 0, new;

	if (error) {
		fails(m, batch, index, cmd->a, error, DRM_FAKEGPU_ACCESS_ATOMIC);
		return false;
	}
	model_read(m, cmd->a, &old, cmd->n);
	if (cmd->flags & CMD_FLAG_ADD)
		new = old + cmd->x;
	else if (cmd->flags & CMD_FLAG_SWAP)
		new = cmd->x;
	else if (cmd->n == 4)
		new = (uint32_t)old == (uint32_t)cmd->y ? cmd->x : old;
	else
		new = old == cmd->y ? cmd->x : old;
	model_write(m, cmd->a, &new, cmd->n);
	*result = old;
	return true;
}

static void model_signal(struct model *m, struct batch *batch, uint32_t index,
			 const struct cmd *cmd, uint64_t value)
{
	bool add = cmd->flags & CMD_FLAG_ADD;
	int error = off_error(m, cmd->a, true);
	uint64_t old;

	if (error) {
		fails(m, batch, index, cmd->a, error,
		      add ? DRM_FAKEGPU_ACCESS_ATOMIC : DRM_FAKEGPU_ACCESS_WRITE);
		return;
	}
	if (add && model_read(m, cmd->a, &old, sizeof(old)) == sizeof(old))
		value += old;
	model_write(m, cmd->a, &value, sizeof(value));
}

/* Returns false if the command would wait for ever. */
static bool model_sem_wait(struct model *m, struct batch *batch, uint32_t index,
			   const struct cmd *cmd)
{
	int error = off_error(m, cmd->a, false);
	uint64_t value = 0;

	if (error) {
		fails(m, batch, index, cmd->a, error, DRM_FAKEGPU_ACCESS_READ);
		return true;
	}
	model_read(m, cmd->a, &value, sizeof(value));
	return value == cmd->x || ((cmd->flags & CMD_FLAG_GE) && value > cmd->x);
}

/* Where a chase goes must be in our part, or nobody's; else its end isn't known. */
static bool chase_read(struct model *m, struct batch *batch, uint32_t index, uint64_t addr,
		       uint64_t *value, bool *known)
{
	uint64_t off, end;
	uint32_t done;

	*known = true;
	if (addr >= m->run->va_end) {
		batch->expect.error = -EINVAL;
		batch->expect.fault_addr = addr;
		batch->expect.cmd = index;
		batch->expect.access = DRM_FAKEGPU_ACCESS_READ;
		return false;
	}
	if (!addr_to_off(m, addr, &off) || !addr_to_off(m, addr + 7, &end) || end != off + 7 ||
	    !in_granule(m, off >> PAGE_SHIFT, (end >> PAGE_SHIFT) - (off >> PAGE_SHIFT) + 1)) {
		*known = false;
		return false;
	}
	if (batch->nranges == MAX_RANGES || !settle_lazy(m, off >> PAGE_SHIFT, 1) ||
	    !settle_lazy(m, end >> PAGE_SHIFT, 1) ||
	    (m->pages[off >> PAGE_SHIFT].flags & PG_AMBIGUOUS) ||
	    (m->pages[end >> PAGE_SHIFT].flags & PG_AMBIGUOUS)) {
		*known = false;
		return false;
	}
	batch->ranges[batch->nranges++] = (struct range){
		off >> PAGE_SHIFT, (end >> PAGE_SHIFT) - (off >> PAGE_SHIFT) + 1, false
	};
	done = model_read(m, off, value, sizeof(*value));
	if (done < sizeof(*value)) {
		fails(m, batch, index, off + done, off_error(m, off + done, false),
		      DRM_FAKEGPU_ACCESS_READ);
		return false;
	}
	return true;
}

static bool model_chase(struct model *m, struct batch *batch, uint32_t index,
			const struct cmd *cmd, uint64_t *result, bool *known)
{
	uint64_t addr = (uintptr_t)byte_addr(m, cmd->a), value, next;

	result[0] = 0;
	result[1] = 0;
	*known = true;
	while (addr && result[0] < cmd->n) {
		if (!chase_read(m, batch, index, addr + cmd->y, &value, known) ||
		    !chase_read(m, batch, index, addr + cmd->x, &next, known))
			return false;
		result[0]++;
		result[1] += value;
		addr = next;
	}
	return true;
}

/* Executes a command in the model; false if its outcome can't be known. */
static bool model_cmd(struct model *m, struct batch *batch, uint32_t index, const struct cmd *cmd)
{
	uint64_t result[2] = { 0, 0 };
	bool found = false, known = true;
	uint32_t size = 8, done;

	switch (cmd->kind) {
	case CMD_FILL:
		model_fill(m, batch, index, cmd);
		break;
	case CMD_COPY:
		model_copy(m, batch, index, cmd);
		break;
	case CMD_TOUCH:
		model_touch(m, batch, index, cmd);
		break;
	case CMD_COMPARE:
		found = model_compare(m, batch, index, cmd, result);
		break;
	case CMD_CHECKSUM:
		found = model_checksum(m, batch, index, cmd, result);
		break;
	case CMD_ATOMIC:
		found = model_atomic(m, batch, index, cmd, result);
		break;
	case CMD_SIGNAL:
		model_signal(m, batch, index, cmd, cmd->x);
		break;
	case CMD_POINTER:
		model_signal(m, batch, index, cmd, (uintptr_t)byte_addr(m, cmd->b));
		break;
	case CMD_SEM_WAIT:
		known = model_sem_wait(m, batch, index, cmd);
		break;
	case CMD_CHASE:
		found = model_chase(m, batch, index, cmd, result, &known);
		size = 16;
		break;
	}
	if (!found || cmd->res == RES_NONE)
		return known;
	if (cmd->res == RES_SLOT) {
		batch->expect.has_result[index] = true;
		memcpy(batch->expect.result[index], result, sizeof(result));
		return known;
	}
	done = model_write(m, (uint32_t)cmd->res, result, size);
	if (done < size)
		fails(m, batch, index, (uint32_t)cmd->res + done,
		      off_error(m, (uint32_t)cmd->res + done, true), DRM_FAKEGPU_ACCESS_WRITE);
	return known;
}

/* ------------------------------------------------ commands for the device */

static bool add_range(struct model *m, struct batch *batch, uint64_t off, uint64_t len,
		      bool write)
{
	uint64_t page = off >> PAGE_SHIFT, count;

	if (!len)
		return false;
	count = ((off + len - 1) >> PAGE_SHIFT) - page + 1;
	if (!in_granule(m, page, count) || batch->nranges == MAX_RANGES)
		return false;
	batch->ranges[batch->nranges++] = (struct range){ page, count, write };
	return true;
}

/* Source and destination are different addresses, but are they different memory? */
static bool aliases(struct model *m, const struct cmd *cmd)
{
	uint32_t a = cmd->a >> PAGE_SHIFT, b = cmd->b >> PAGE_SHIFT;
	uint32_t na = ((cmd->a + cmd->n - 1) >> PAGE_SHIFT) - a + 1;
	uint32_t nb = ((cmd->b + cmd->n - 1) >> PAGE_SHIFT) - b + 1;
	uint32_t i, j;

	for (i = a; i < a + na; i++) {
		if (!m->pages[i].obj)
			continue;
		for (j = b; j < b + nb; j++)
			if (m->pages[i].obj == m->pages[j].obj &&
			    m->pages[i].objpage == m->pages[j].objpage)
				return true;
	}
	return false;
}

static uint32_t touch_flags(uint8_t flags)
{
	return (flags & CMD_FLAG_WRITE ? DRM_FAKEGPU_CMD_WRITE : 0) |
	       (flags & CMD_FLAG_NOFAULT ? DRM_FAKEGPU_CMD_NOFAULT : 0);
}

static uint32_t atomic_flag(uint8_t flags)
{
	if (flags & CMD_FLAG_ADD)
		return DRM_FAKEGPU_ATOMIC_ADD;
	return flags & CMD_FLAG_SWAP ? DRM_FAKEGPU_ATOMIC_SWAP : DRM_FAKEGPU_ATOMIC_CAS;
}

/*
 * Translate a command and note the memory that it touches. Returns false if it
 * isn't one that the driver would accept, or that the model can't foresee.
 */
static bool translate(struct model *m, struct batch *batch, const struct cmd *cmd,
		      volatile uint64_t *slot)
{
	struct drm_fakegpu_cmd *out = &batch->cmds[batch->ncmds];
	bool rmw = false, write = false, ok;
	uint32_t first = batch->nranges, i;
	uint64_t len = cmd->n;

	memset(out, 0, sizeof(*out));
	out->addr = (uintptr_t)byte_addr(m, cmd->a);
	out->size = cmd->n;
	switch (cmd->kind) {
	case CMD_FILL:
		*out = fakegpu_fill(byte_addr(m, cmd->a), cmd->n, cmd->x);
		write = true;
		break;
	case CMD_COPY:
		if (!add_range(m, batch, cmd->b, cmd->n, false) ||
		    ranges_meet(cmd->a, cmd->n, cmd->b, cmd->n) || aliases(m, cmd))
			return false;
		*out = fakegpu_copy(byte_addr(m, cmd->a), byte_addr(m, cmd->b), cmd->n);
		write = true;
		break;
	case CMD_TOUCH:
		if (!cmd->x)
			return false;
		write = cmd->flags & CMD_FLAG_WRITE;
		*out = fakegpu_touch(byte_addr(m, cmd->a), cmd->n, cmd->x,
				     touch_flags(cmd->flags));
		break;
	case CMD_COMPARE:
		if (!add_range(m, batch, cmd->b, cmd->n, false))
			return false;
		*out = fakegpu_compare(byte_addr(m, cmd->a), byte_addr(m, cmd->b), cmd->n, NULL);
		break;
	case CMD_CHECKSUM:
		*out = fakegpu_checksum(byte_addr(m, cmd->a), cmd->n, NULL);
		break;
	case CMD_ATOMIC:
		if ((cmd->n != 4 && cmd->n != 8) || cmd->a % cmd->n)
			return false;
		*out = fakegpu_atomic(byte_addr(m, cmd->a), cmd->n, atomic_flag(cmd->flags),
				      cmd->x, cmd->flags & CMD_FLAG_CAS ? cmd->y : 0, NULL);
		rmw = true;
		write = true;
		break;
	case CMD_SIGNAL:
	case CMD_POINTER:
		if (cmd->a % 8)
			return false;
		len = 8;
		rmw = cmd->flags & CMD_FLAG_ADD;
		write = true;
		*out = fakegpu_sem_signal((void *)byte_addr(m, cmd->a), cmd->kind == CMD_SIGNAL ?
					  cmd->x : (uintptr_t)byte_addr(m, cmd->b),
					  rmw ? DRM_FAKEGPU_SEM_ADD : 0);
		break;
	case CMD_SEM_WAIT:
		if (cmd->a % 8)
			return false;
		len = 8;
		*out = fakegpu_sem_wait((void *)byte_addr(m, cmd->a), cmd->x,
					cmd->flags & CMD_FLAG_GE ? DRM_FAKEGPU_SEM_GE : 0);
		break;
	case CMD_CHASE:
		if (!cmd->n || cmd->n > 3)
			return false;
		*out = fakegpu_chase(byte_addr(m, cmd->a), cmd->n, cmd->x, cmd->y, NULL);
		len = 0;
		break;
	default:
		return false;
	}
	if (len && !add_range(m, batch, cmd->a, len, write))
		return false;
	ok = true;
	if (cmd->res == RES_SLOT) {
		out->result = (uintptr_t)slot;
	} else if (cmd->res != RES_NONE) {
		out->result = (uintptr_t)byte_addr(m, (uint32_t)cmd->res);
		ok = add_range(m, batch, (uint32_t)cmd->res, cmd->kind == CMD_CHASE ? 16 : 8, true);
		rmw = true;
	}
	/*
	 * What depends on a page's content needs one that stays. A plain write
	 * doesn't, and is what a lazy page must survive.
	 */
	for (i = first; ok && i < batch->nranges; i++)
		if (!batch->ranges[i].write || rmw)
			ok = settle_lazy(m, batch->ranges[i].page, batch->ranges[i].count);
	batch->ncmds++;
	return ok;
}

static bool sound(struct model *m, const struct op *op)
{
	uint32_t i;

	if (!op->ncmds || op->ncmds > MAX_CMDS)
		return false;
	for (i = 0; i < op->ncmds; i++)
		if (op->cmds[i].a >> PAGE_SHIFT >= m->npages ||
		    op->cmds[i].b >> PAGE_SHIFT >= m->npages)
			return false;
	return true;
}

static void finish_batch(struct model *m, const struct batch *batch)
{
	uint32_t i;

	for (i = 0; i < batch->nranges; i++)
		finish_access(m, batch->ranges[i].page, batch->ranges[i].count);
}

bool exec_device(struct model *m, const struct op *op)
{
	struct queue *queue = &m->queues[op->queue % QUEUES];
	struct batch batch;
	uint32_t i;
	int ret;

	if (!sound(m, op))
		return false;
	/* Where a chase goes isn't known yet. */
	for (i = 0; i < op->ncmds; i++)
		if (op->cmds[i].kind == CMD_CHASE)
			finish_all(m);
	queue_finish(m, queue);
	memset(&batch, 0, sizeof(batch));
	for (i = 0; i < op->ncmds; i++)
		if (!translate(m, &batch, &op->cmds[i], queue->results + i * SLOT_WORDS))
			return false;
	finish_batch(m, &batch);

	for (i = 0; i < op->ncmds && !batch.expect.error; i++) {
		if (model_cmd(m, &batch, i, &op->cmds[i]))
			continue;
		/* What the model has done so far is to be done for real. */
		if (!i)
			return false;
		batch.ncmds = i;
		memset(batch.expect.has_result + i, 0, MAX_CMDS - i);
		break;
	}

	memset((void *)queue->results, 0, MAX_CMDS * SLOT_WORDS * sizeof(*queue->results));
	ret = fakegpu_submit(m->run->fd, queue->id, batch.cmds, batch.ncmds, &queue->seqno);
	if (ret)
		mismatch(m, "SUBMIT: %s", strerror(-ret));
	queue->pending = true;
	queue->expect = batch.expect;
	queue->nranges = batch.nranges;
	memcpy(queue->ranges, batch.ranges, sizeof(batch.ranges));
	queue->objs = 0;
	for (i = 0; i < batch.nranges; i++)
		queue->objs |= pages_objs(m, batch.ranges[i].page, batch.ranges[i].count);
	if (op->flags & DEVICE_FLAG_WAIT)
		queue_finish(m, queue);
	return true;
}

/* --------------------------------------------------------------- PREFETCH */

bool exec_prefetch(struct model *m, const struct op *op)
{
	bool write = op->flags & PREFETCH_FLAG_WRITE, present = op->flags & PREFETCH_FLAG_PRESENT;
	uint64_t off = op->at, end = off + op->n, done = 0;
	uint32_t page = off >> PAGE_SHIFT, count, flags = 0;
	int ret, expected = 0;

	if (!op->n || (write && present))
		return false;
	count = ((end - 1) >> PAGE_SHIFT) - page + 1;
	if (!in_granule(m, page, count))
		return false;
	flags |= write ? DRM_FAKEGPU_PREFETCH_WRITE : 0;
	flags |= present ? DRM_FAKEGPU_PREFETCH_PRESENT : 0;
	/* A write fault takes a private copy of what the object holds now. */
	if (write)
		finish_access(m, page, count);
	ret = fakegpu_prefetch(m->run->fd, m->run->vm, flags, byte_addr(m, off), op->n, &done);
	for (; off < end && !present; off = (off | (PAGE_SIZE - 1)) + 1) {
		expected = off_error(m, off, write);
		if (expected)
			break;
		if (write)
			page_own(m, &m->pages[off >> PAGE_SHIFT]);
	}
	if (off > end || present)
		off = end;
	exec_result(m, "PREFETCH", ret, expected);
	if (done != off - op->at)
		mismatch(m, "PREFETCH says that %lu bytes are done, expected %lu", done,
			 off - op->at);
	if (write && expected)
		resolve_own(m, page, count);
	return true;
}
