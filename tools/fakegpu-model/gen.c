// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: draws operations
 *
 * It looks at the model to draw what is likely to do something, and comes back
 * to where something happened lately: most bugs need several operations on the
 * same pages. The operation drawn depends on nothing but itself later.
 */
#include <string.h>

#include "model.h"

static uint32_t below(struct model *m, uint32_t n)
{
	return rng_below(&m->rng, n);
}

static bool chance(struct model *m, uint32_t percent)
{
	return below(m, 100) < percent;
}

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void remember(struct model *m, uint32_t page)
{
	m->hot[m->nhot++ % 16] = page;
}

static uint32_t draw_page(struct model *m)
{
	uint32_t page;

	if (m->nhot && chance(m, 55)) {
		page = m->hot[below(m, min32(m->nhot, 16))];
		/* Right there, or near by. */
		if (chance(m, 50))
			page = (page + m->npages + below(m, 17) - 8) % m->npages;
		return page;
	}
	page = below(m, m->npages);
	if (chance(m, 10))
		page &= ~(LEAF_PAGES - 1);
	return page;
}

static uint32_t draw_mapped(struct model *m)
{
	uint32_t page = draw_page(m), tries;

	for (tries = 0; tries < 6 && !m->pages[page].mapped && !chance(m, 8); tries++)
		page = draw_page(m);
	return page;
}

/* A page that the device may read and write, in most cases. */
static uint32_t draw_good(struct model *m)
{
	uint32_t page = draw_mapped(m), tries;

	for (tries = 0; tries < 8 && device_error(m, &m->pages[page], true); tries++) {
		if (chance(m, 6))
			break;
		page = draw_page(m);
	}
	return page;
}

static uint32_t draw_count(struct model *m)
{
	uint32_t kind = below(m, 100);

	if (kind < 62)
		return 1 + below(m, 4);
	if (kind < 90)
		return 1 + below(m, 24);
	if (kind < 98)
		return 1 + below(m, 160);
	return LEAF_PAGES;
}

static uint32_t clip(struct model *m, uint32_t page, uint32_t count)
{
	return min32(count, m->granule - page % m->granule);
}

static void draw_pages(struct model *m, struct op *op, bool mapped)
{
	op->at = mapped ? draw_mapped(m) : draw_page(m);
	op->n = draw_count(m);
	if (op->n == LEAF_PAGES && chance(m, 80))
		op->at &= ~(LEAF_PAGES - 1);
	op->n = clip(m, op->at, op->n);
	remember(m, op->at);
}

static uint32_t draw_bytes(struct model *m)
{
	uint32_t kind = below(m, 100);

	if (kind < 42)
		return 1 + below(m, 64);
	if (kind < 72)
		return 1 + below(m, PAGE_SIZE);
	if (kind < 96)
		return 1 + below(m, 4 * PAGE_SIZE);
	return 1 + below(m, (kind < 99 ? 24 : 160) * PAGE_SIZE);
}

static uint32_t draw_offset(struct model *m, uint32_t page)
{
	uint32_t kind = below(m, 100), off = page << PAGE_SHIFT;

	if (kind < 30)
		return off;
	if (kind < 45)
		return off + PAGE_SIZE - 1 - below(m, 8);
	if (kind < 70)
		return off + 8 * below(m, PAGE_SIZE / 8);
	return off + below(m, PAGE_SIZE);
}

static uint32_t good_part(struct model *m, uint32_t off, uint32_t len)
{
	uint64_t end = off;

	while (end < (uint64_t)off + len) {
		const struct page *p = &m->pages[end >> PAGE_SHIFT];

		if (p->prot != P_RW || device_error(m, p, true))
			break;
		end = (end | (PAGE_SIZE - 1)) + 1;
	}
	return end == off || end > (uint64_t)off + len ? len : end - off;
}

static void draw_span(struct model *m, uint32_t *off, uint32_t *len)
{
	uint32_t page = draw_good(m);
	uint64_t end = (uint64_t)(page - page % m->granule + m->granule) << PAGE_SHIFT;

	*off = draw_offset(m, page);
	*len = draw_bytes(m);
	if (*off + (uint64_t)*len > end)
		*len = end - *off;
	/* Mostly what can be accessed to its end: a fatal fault ends a queue. */
	if (chance(m, 80))
		*len = good_part(m, *off, *len);
	remember(m, page);
}

/* Now and then the same, so that there is something for KSM to merge. */
static uint64_t draw_value(struct model *m)
{
	static const uint64_t few[] = { 0, 0x1111111111111111, 0xffffffffffffffff, 1 };

	return chance(m, 25) ? few[below(m, 4)] : rng_next(&m->rng);
}

static uint8_t draw_prot(struct model *m)
{
	uint32_t kind = below(m, 100);

	if (kind < 70)
		return P_RW;
	if (kind < 85)
		return P_R;
	return kind < 94 ? P_NONE : P_W;
}

static void gen_map(struct model *m, struct op *op)
{
	uint32_t kind = below(m, 100);

	draw_pages(m, op, false);
	/* Now and then all of what a large leaf maps. */
	if (chance(m, 4)) {
		op->at &= ~(min32(LEAF_PAGES, m->granule) - 1);
		op->n = min32(LEAF_PAGES, m->granule);
	}
	op->prot = draw_prot(m);
	if (kind < 55) {
		op->sub = MAP_SUB_ANON;
	} else if (kind < 64) {
		op->sub = MAP_SUB_SHARED_ANON;
	} else {
		op->sub = kind < 82 ? MAP_SUB_SHARED : MAP_SUB_PRIVATE;
		op->obj = below(m, NAMED_OBJS);
		op->n = min32(op->n, OBJ_PAGES);
		op->to = below(m, min32(m->objs[op->obj].pages + 8, OBJ_PAGES - op->n + 1));
		op->to = min32(op->to, OBJ_PAGES - op->n);
	}
	if (chance(m, 8))
		op->flags |= MAP_FLAG_POPULATE;
	if (chance(m, 6))
		op->flags |= MAP_FLAG_NOREPLACE;
}

static void gen_remap(struct model *m, struct op *op)
{
	uint32_t kind = below(m, 100), room;

	draw_pages(m, op, true);
	op->to = draw_page(m);
	op->m = op->n;
	room = m->granule - op->at % m->granule;
	if (kind < 15) {
		op->sub = REMAP_RESIZE;
		op->m = 1 + below(m, op->n);
	} else if (kind < 30) {
		op->sub = REMAP_RESIZE;
		op->m = min32(op->n + draw_count(m), room);
	} else if (kind < 45) {
		op->sub = REMAP_GROW_MOVE;
		op->m = min32(op->n + draw_count(m), room);
	} else if (kind < 70) {
		op->sub = REMAP_MOVE;
		if (chance(m, 30))
			op->m = draw_count(m);
	} else if (kind < 87) {
		op->sub = REMAP_DONTUNMAP;
	} else {
		op->sub = REMAP_DUPLICATE;
	}
	op->m = clip(m, op->to, op->m);
	if (op->sub == REMAP_DONTUNMAP)
		op->n = op->m;
	remember(m, op->to);
}

static void gen_advise(struct model *m, struct op *op)
{
	/* What takes memory away is drawn more often. */
	static const uint8_t subs[] = {
		ADV_DONTNEED, ADV_DONTNEED, ADV_DONTNEED, ADV_FREE, ADV_FREE, ADV_FREE, ADV_FREE,
		ADV_COLD, ADV_PAGEOUT, ADV_PAGEOUT, ADV_PAGEOUT, ADV_PAGEOUT, ADV_WILLNEED,
		ADV_POPULATE_READ, ADV_POPULATE_WRITE, ADV_HUGEPAGE, ADV_NOHUGEPAGE, ADV_COLLAPSE,
		ADV_MERGEABLE, ADV_MERGEABLE, ADV_UNMERGEABLE, ADV_REMOVE, ADV_REMOVE,
		ADV_DONTFORK, ADV_DOFORK, ADV_WIPEONFORK, ADV_KEEPONFORK,
	};

	draw_pages(m, op, true);
	op->sub = subs[below(m, sizeof(subs))];
	if (op->sub == ADV_COLLAPSE || (op->sub == ADV_HUGEPAGE && chance(m, 50))) {
		op->at &= ~(min32(LEAF_PAGES, m->granule) - 1);
		op->n = min32(LEAF_PAGES, m->granule);
	}
}

static int32_t draw_result(struct model *m)
{
	uint32_t off, len;

	if (chance(m, 80))
		return RES_SLOT;
	draw_span(m, &off, &len);
	return off;
}

static void gen_cmd(struct model *m, struct op *op)
{
	struct cmd *cmd = &op->cmds[op->ncmds++];
	uint32_t kind = below(m, 100), len;

	cmd->res = RES_NONE;
	draw_span(m, &cmd->a, &cmd->n);
	if (kind < 27) {
		cmd->kind = CMD_FILL;
		cmd->x = draw_value(m);
	} else if (kind < 45) {
		cmd->kind = CMD_COPY;
		draw_span(m, &cmd->b, &len);
		cmd->n = min32(cmd->n, len);
	} else if (kind < 57) {
		cmd->kind = CMD_TOUCH;
		cmd->flags = below(m, 4);
		cmd->x = chance(m, 70) ? PAGE_SIZE : 1 + below(m, 3 * PAGE_SIZE);
	} else if (kind < 65) {
		cmd->kind = CMD_COMPARE;
		draw_span(m, &cmd->b, &len);
		cmd->n = min32(cmd->n, len);
		cmd->res = draw_result(m);
	} else if (kind < 83) {
		cmd->kind = CMD_CHECKSUM;
		cmd->res = draw_result(m);
	} else if (kind < 93) {
		cmd->kind = CMD_ATOMIC;
		cmd->n = chance(m, 50) ? 4 : 8;
		cmd->a &= ~(cmd->n - 1);
		cmd->flags = CMD_FLAG_ADD << below(m, 3);
		cmd->x = draw_value(m);
		cmd->y = chance(m, 50) ? 0 : draw_value(m);
		cmd->res = chance(m, 20) ? RES_NONE : draw_result(m);
	} else if (kind < 97 || op->ncmds == MAX_CMDS) {
		cmd->kind = CMD_SIGNAL;
		cmd->n = 0;
		cmd->a &= ~7U;
		cmd->x = draw_value(m);
		cmd->flags = chance(m, 30) ? CMD_FLAG_ADD : 0;
		if (!cmd->flags && op->ncmds < MAX_CMDS) {
			op->cmds[op->ncmds] = *cmd;
			op->cmds[op->ncmds].flags = chance(m, 50) ? CMD_FLAG_GE : 0;
			op->cmds[op->ncmds++].kind = CMD_SEM_WAIT;
		}
	} else {
		/* A node, and a walk that begins there. */
		cmd->kind = CMD_POINTER;
		cmd->n = 0;
		cmd->a &= ~7U;
		draw_span(m, &cmd->b, &len);
		op->cmds[op->ncmds] = *cmd;
		cmd = &op->cmds[op->ncmds++];
		cmd->kind = CMD_CHASE;
		cmd->b = 0;
		cmd->n = 1 + below(m, 3);
		cmd->x = 0;
		cmd->y = 8 * below(m, 64);
		cmd->res = draw_result(m);
	}
}

static void gen_device(struct model *m, struct op *op)
{
	uint32_t cmds = chance(m, 75) ? 1 : 1 + below(m, MAX_CMDS - 1);

	op->queue = below(m, QUEUES);
	if (chance(m, 45))
		op->flags |= DEVICE_FLAG_WAIT;
	while (op->ncmds < cmds)
		gen_cmd(m, op);
}

static void gen_object(struct model *m, struct op *op)
{
	uint32_t kind = below(m, 100), pages;

	op->obj = below(m, NAMED_OBJS);
	pages = m->objs[op->obj].pages;
	if (kind < 15) {
		op->kind = OP_TRUNCATE;
		op->n = chance(m, 60) ? 64 + below(m, OBJ_PAGES - 63) : below(m, 64);
	} else if (kind < 50) {
		op->kind = OP_PUNCH;
		op->to = below(m, pages ? pages : 1);
		op->n = min32(draw_count(m), OBJ_PAGES - op->to);
	} else {
		op->kind = kind < 80 ? OP_PWRITE : OP_PREAD;
		op->to = below(m, pages ? pages : 1) * PAGE_SIZE + below(m, PAGE_SIZE);
		op->n = 1 + below(m, 4 * PAGE_SIZE - 1);
		op->x = op->kind == OP_PWRITE ? draw_value(m) : 0;
	}
}

static const struct {
	uint8_t kind;
	uint16_t weight;
} weights[] = {
	{ OP_DEVICE, 4000 },
	{ OP_MAP, 1000 },
	{ OP_UNMAP, 450 },
	{ OP_PROTECT, 600 },
	{ OP_REMAP, 650 },
	{ OP_ADVISE, 1100 },
	{ OP_READ, 250 },
	{ OP_WRITE, 750 },
	{ OP_PREFETCH, 350 },
	{ OP_QUERY, 250 },
	{ OP_PUNCH, 250 },	/* or another one on an object */
	{ OP_FORK, 7 },
	{ OP_MIGRATE, 25 },
	{ OP_SPLIT, 20 },
	{ OP_SYNC, 30 },
	{ OP_SYSTEM, 5 },
	{ OP_VM, 10 },
	{ OP_QUEUE, 20 },
	{ OP_CHECK, 4 },
};

static uint8_t draw_kind(struct model *m)
{
	uint32_t total = 0, pick, i;

	for (i = 0; i < sizeof(weights) / sizeof(weights[0]); i++)
		total += weights[i].weight;
	pick = below(m, total);
	for (i = 0; pick >= weights[i].weight; i++)
		pick -= weights[i].weight;
	return weights[i].kind;
}

void gen_op(struct model *m, struct op *op)
{
	memset(op, 0, sizeof(*op));
	op->thread = m->thread;
	op->kind = draw_kind(m);
	switch (op->kind) {
	case OP_MAP:
		gen_map(m, op);
		break;
	case OP_UNMAP:
	case OP_PROTECT:
	case OP_QUERY:
		draw_pages(m, op, true);
		op->prot = op->kind == OP_PROTECT ? draw_prot(m) : 0;
		break;
	case OP_REMAP:
		gen_remap(m, op);
		break;
	case OP_ADVISE:
		gen_advise(m, op);
		break;
	case OP_READ:
	case OP_WRITE:
	case OP_PREFETCH:
		draw_span(m, &op->at, &op->n);
		if (op->kind == OP_WRITE)
			op->x = draw_value(m);
		if (op->kind == OP_PREFETCH)
			op->flags = below(m, 3);
		break;
	case OP_DEVICE:
		gen_device(m, op);
		break;
	case OP_PUNCH:
		gen_object(m, op);
		break;
	case OP_FORK:
		op->n = 1 + below(m, 12);
		op->x = rng_next(&m->rng);
		op->flags = below(m, 2);
		break;
	case OP_MIGRATE:
	case OP_SPLIT:
	case OP_SYNC:
		draw_pages(m, op, true);
		if (op->kind == OP_MIGRATE) {
			op->n = min32(op->n, 32);
			op->x = below(m, 2);
		}
		break;
	case OP_SYSTEM:
		op->sub = below(m, 3);
		break;
	case OP_QUEUE:
		op->queue = below(m, QUEUES);
		break;
	}
}
