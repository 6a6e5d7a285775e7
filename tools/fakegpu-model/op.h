/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fakegpu-model: an operation, as it is drawn, recorded, written to a file and
 * replayed
 */
#ifndef FAKEGPU_MODEL_OP_H
#define FAKEGPU_MODEL_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PAGE_SIZE	4096u
#define PAGE_SHIFT	12
#define LEAF_PAGES	512u

#define MAX_CMDS	4

enum op_kind {
	OP_MAP,		/* sub, at, n (pages), prot, obj, to (page of obj), flags */
	OP_UNMAP,	/* at, n */
	OP_PROTECT,	/* at, n, prot */
	OP_REMAP,	/* sub, at, n, to, m (new size) */
	OP_ADVISE,	/* sub, at, n */
	OP_READ,	/* at, n (bytes): compare by CPU */
	OP_WRITE,	/* at, n (bytes), x: by CPU */
	OP_DEVICE,	/* queue, flags, cmds */
	OP_PREFETCH,	/* at, n (bytes), flags */
	OP_QUERY,	/* at, n */
	OP_TRUNCATE,	/* obj, n (pages) */
	OP_PUNCH,	/* obj, to, n (pages) */
	OP_PWRITE,	/* obj, to, n (bytes), x */
	OP_PREAD,	/* obj, to, n (bytes) */
	OP_FORK,	/* n (accesses), x (seed), flags */
	OP_MIGRATE,	/* at, n, x (node) */
	OP_SPLIT,	/* at, n: split huge pages */
	OP_SYNC,	/* at, n: msync() */
	OP_SYSTEM,	/* sub */
	OP_VM,		/* destroy and create the VM */
	OP_QUEUE,	/* queue: destroy and create it */
	OP_CHECK,	/* everything */
	OP_KINDS
};

enum map_sub { MAP_SUB_ANON, MAP_SUB_SHARED_ANON, MAP_SUB_SHARED, MAP_SUB_PRIVATE };

enum remap_sub {
	REMAP_RESIZE,		/* without MAYMOVE */
	REMAP_GROW_MOVE,	/* to where the kernel likes, then to @to if it moved */
	REMAP_MOVE,		/* FIXED; @m pages */
	REMAP_DONTUNMAP,
	REMAP_DUPLICATE,	/* old size 0 */
};

enum advise_sub {
	ADV_DONTNEED, ADV_FREE, ADV_COLD, ADV_PAGEOUT, ADV_WILLNEED, ADV_POPULATE_READ,
	ADV_POPULATE_WRITE, ADV_HUGEPAGE, ADV_NOHUGEPAGE, ADV_COLLAPSE, ADV_MERGEABLE,
	ADV_UNMERGEABLE, ADV_REMOVE, ADV_DONTFORK, ADV_DOFORK, ADV_WIPEONFORK, ADV_KEEPONFORK,
	ADV_SUBS
};

enum system_sub { SYS_COMPACT, SYS_SOFT_DIRTY, SYS_VERIFY };

#define MAP_FLAG_POPULATE	1
#define MAP_FLAG_NOREPLACE	2
#define DEVICE_FLAG_WAIT	1	/* wait at once, not when it is needed */
#define PREFETCH_FLAG_WRITE	1
#define PREFETCH_FLAG_PRESENT	2
#define FORK_FLAG_UNTIDY	1	/* the child exits without destroying anything */

/* As in mmap(): bit 0 read, bit 1 write. */
#define P_NONE	0
#define P_R	1
#define P_W	2
#define P_RW	3

enum cmd_kind {
	CMD_FILL,	/* a, n, x */
	CMD_COPY,	/* a from b, n */
	CMD_TOUCH,	/* a, n, x (stride), flags */
	CMD_COMPARE,	/* a and b, n, res */
	CMD_CHECKSUM,	/* a, n, res */
	CMD_ATOMIC,	/* a, n (4, 8), x, y, flags, res */
	CMD_SIGNAL,	/* a, x, flags */
	CMD_SEM_WAIT,	/* a, x, flags */
	CMD_CHASE,	/* a, n (nodes), x (next), y (value), res */
	CMD_POINTER,	/* a: SEM_SIGNAL that stores the address of b */
	CMD_KINDS
};

#define RES_NONE	(-1)
#define RES_SLOT	(-2)	/* outside of the arena */

#define CMD_FLAG_WRITE		1	/* TOUCH */
#define CMD_FLAG_NOFAULT	2	/* TOUCH */
#define CMD_FLAG_ADD		4	/* ATOMIC, SIGNAL */
#define CMD_FLAG_SWAP		8	/* ATOMIC */
#define CMD_FLAG_CAS		16	/* ATOMIC */
#define CMD_FLAG_GE		32	/* SEM_WAIT */

/* Addresses are offsets in the thread's part of the arena, in bytes. */
struct cmd {
	uint8_t kind;
	uint8_t flags;
	uint32_t a;
	uint32_t b;
	uint32_t n;
	int32_t res;
	uint64_t x;
	uint64_t y;
};

struct op {
	uint8_t thread;
	uint8_t kind;
	uint8_t sub;
	uint8_t prot;
	uint8_t queue;
	uint8_t flags;
	uint8_t ncmds;
	uint8_t obj;
	uint32_t at;
	uint32_t n;
	uint32_t to;
	uint32_t m;
	uint64_t x;
	struct cmd cmds[MAX_CMDS];
};

const char *op_name(enum op_kind kind);
/* One line, without the newline; returns its length. */
int op_format(const struct op *op, char *line, size_t size);
/* Returns false if the line isn't an operation. */
bool op_parse(const char *line, struct op *op);

#endif
