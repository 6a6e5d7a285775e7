// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: operations as lines of text
 *
 * A line is the name of the operation, the name of its variant if it has some,
 * and key=value for each field that isn't zero. Commands of the device follow
 * after semicolons in the same way.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

static const char *const map_subs[] = {
	"anon", "shared-anon", "shared", "private", NULL
};

static const char *const remap_subs[] = {
	"resize", "grow-move", "move", "dontunmap", "duplicate", NULL
};

static const char *const advise_subs[] = {
	"dontneed", "free", "cold", "pageout", "willneed", "populate-read", "populate-write",
	"hugepage", "nohugepage", "collapse", "mergeable", "unmergeable", "remove", "dontfork",
	"dofork", "wipeonfork", "keeponfork", NULL
};

static const char *const system_subs[] = { "compact", "soft-dirty", "verify", NULL };

static const struct {
	const char *name;
	const char *const *subs;
} kinds[OP_KINDS] = {
	[OP_MAP] = { "map", map_subs },
	[OP_UNMAP] = { "unmap", NULL },
	[OP_PROTECT] = { "protect", NULL },
	[OP_REMAP] = { "remap", remap_subs },
	[OP_ADVISE] = { "advise", advise_subs },
	[OP_READ] = { "read", NULL },
	[OP_WRITE] = { "write", NULL },
	[OP_DEVICE] = { "device", NULL },
	[OP_PREFETCH] = { "prefetch", NULL },
	[OP_QUERY] = { "query", NULL },
	[OP_TRUNCATE] = { "truncate", NULL },
	[OP_PUNCH] = { "punch", NULL },
	[OP_PWRITE] = { "pwrite", NULL },
	[OP_PREAD] = { "pread", NULL },
	[OP_FORK] = { "fork", NULL },
	[OP_MIGRATE] = { "migrate", NULL },
	[OP_SPLIT] = { "split", NULL },
	[OP_SYNC] = { "sync", NULL },
	[OP_SYSTEM] = { "system", system_subs },
	[OP_VM] = { "vm", NULL },
	[OP_QUEUE] = { "queue", NULL },
	[OP_CHECK] = { "check", NULL },
};

static const char *const cmd_names[CMD_KINDS] = {
	[CMD_FILL] = "fill",
	[CMD_COPY] = "copy",
	[CMD_TOUCH] = "touch",
	[CMD_COMPARE] = "compare",
	[CMD_CHECKSUM] = "checksum",
	[CMD_ATOMIC] = "atomic",
	[CMD_SIGNAL] = "signal",
	[CMD_SEM_WAIT] = "sem-wait",
	[CMD_CHASE] = "chase",
	[CMD_POINTER] = "pointer",
};

static const char blanks[] = { ' ', '\n', '\0' };
static const char *const prots[] = { "none", "r", "w", "rw" };

struct text {
	char *p;
	size_t left;
	int len;
};

static void put(struct text *text, const char *format, const char *name, uint64_t value)
{
	int len;

	len = name ? snprintf(text->p, text->left, format, name, value) :
		     snprintf(text->p, text->left, format, value);
	if (len < 0 || (size_t)len >= text->left)
		return;
	text->p += len;
	text->left -= len;
	text->len += len;
}

static void put_value(struct text *text, const char *name, uint64_t value)
{
	if (value)
		put(text, value > 4096 ? " %s=0x%" PRIx64 : " %s=%" PRIu64, name, value);
}

static void put_name(struct text *text, const char *format, const char *name)
{
	int len = snprintf(text->p, text->left, format, name);

	if (len < 0 || (size_t)len >= text->left)
		return;
	text->p += len;
	text->left -= len;
	text->len += len;
}

const char *op_name(enum op_kind kind)
{
	return kinds[kind].name;
}

int op_format(const struct op *op, char *line, size_t size)
{
	struct text text = { .p = line, .left = size };
	unsigned int i;

	if (op->thread)
		put(&text, "%" PRIu64 ": ", NULL, op->thread);
	put_name(&text, "%s", kinds[op->kind].name);
	if (kinds[op->kind].subs)
		put_name(&text, " %s", kinds[op->kind].subs[op->sub]);
	put_value(&text, "at", op->at);
	put_value(&text, "n", op->n);
	put_value(&text, "to", op->to);
	put_value(&text, "m", op->m);
	if (op->kind == OP_MAP || op->kind == OP_PROTECT)
		put_name(&text, " prot=%s", prots[op->prot & 3]);
	put_value(&text, "obj", op->obj);
	put_value(&text, "queue", op->queue);
	put_value(&text, "flags", op->flags);
	put_value(&text, "x", op->x);
	for (i = 0; i < op->ncmds; i++) {
		const struct cmd *cmd = &op->cmds[i];

		put_name(&text, "; %s", cmd_names[cmd->kind]);
		put_value(&text, "a", cmd->a);
		put_value(&text, "b", cmd->b);
		put_value(&text, "n", cmd->n);
		put_value(&text, "x", cmd->x);
		put_value(&text, "y", cmd->y);
		put_value(&text, "flags", cmd->flags);
		if (cmd->res == RES_SLOT)
			put_name(&text, "%s", " res=slot");
		else if (cmd->res != RES_NONE)
			put(&text, " %s=0x%" PRIx64, "res", (uint32_t)cmd->res);
	}
	return text.len;
}

static int find_name(const char *const *names, const char *name)
{
	int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

static bool parse_value(const char *text, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 0);
	return end != text && !*end;
}

static bool set_field(struct op *op, const char *key, const char *text)
{
	uint64_t value;
	int i;

	if (!strcmp(key, "prot")) {
		for (i = 0; i < 4; i++) {
			if (!strcmp(text, prots[i])) {
				op->prot = i;
				return true;
			}
		}
		return false;
	}
	if (!parse_value(text, &value))
		return false;
	if (!strcmp(key, "at"))
		op->at = value;
	else if (!strcmp(key, "n"))
		op->n = value;
	else if (!strcmp(key, "to"))
		op->to = value;
	else if (!strcmp(key, "m"))
		op->m = value;
	else if (!strcmp(key, "obj"))
		op->obj = value;
	else if (!strcmp(key, "queue"))
		op->queue = value;
	else if (!strcmp(key, "flags"))
		op->flags = value;
	else if (!strcmp(key, "x"))
		op->x = value;
	else
		return false;
	return true;
}

static bool set_cmd_field(struct cmd *cmd, const char *key, const char *text)
{
	uint64_t value;

	if (!strcmp(key, "res") && !strcmp(text, "slot")) {
		cmd->res = RES_SLOT;
		return true;
	}
	if (!parse_value(text, &value))
		return false;
	if (!strcmp(key, "a"))
		cmd->a = value;
	else if (!strcmp(key, "b"))
		cmd->b = value;
	else if (!strcmp(key, "n"))
		cmd->n = value;
	else if (!strcmp(key, "x"))
		cmd->x = value;
	else if (!strcmp(key, "y"))
		cmd->y = value;
	else if (!strcmp(key, "flags"))
		cmd->flags = value;
	else if (!strcmp(key, "res"))
		cmd->res = value;
	else
		return false;
	return true;
}

static bool parse_cmd(char *text, struct cmd *cmd)
{
	char *save, *word = strtok_r(text, blanks, &save);
	int i;

	cmd->res = RES_NONE;
	for (i = 0; word && i < CMD_KINDS; i++)
		if (!strcmp(word, cmd_names[i]))
			break;
	if (!word || i == CMD_KINDS)
		return false;
	cmd->kind = i;
	while ((word = strtok_r(NULL, blanks, &save))) {
		char *value = strchr(word, '=');

		if (!value)
			return false;
		*value++ = '\0';
		if (!set_cmd_field(cmd, word, value))
			return false;
	}
	return true;
}

static bool parse_head(char *text, struct op *op)
{
	char *save, *word = strtok_r(text, blanks, &save);
	uint64_t value;
	int i;

	if (word && word[strlen(word) - 1] == ':') {
		word[strlen(word) - 1] = '\0';
		if (!parse_value(word, &value) || value > UINT8_MAX)
			return false;
		op->thread = value;
		word = strtok_r(NULL, blanks, &save);
	}
	for (i = 0; word && i < OP_KINDS; i++)
		if (!strcmp(word, kinds[i].name))
			break;
	if (!word || i == OP_KINDS)
		return false;
	op->kind = i;
	if (kinds[i].subs) {
		word = strtok_r(NULL, blanks, &save);
		i = word ? find_name(kinds[i].subs, word) : -1;
		if (i < 0)
			return false;
		op->sub = i;
	}
	while ((word = strtok_r(NULL, blanks, &save))) {
		char *text_value = strchr(word, '=');

		if (!text_value)
			return false;
		*text_value++ = '\0';
		if (!set_field(op, word, text_value))
			return false;
	}
	return true;
}

bool op_parse(const char *line, struct op *op)
{
	char *copy = strdup(line), *save, *part;
	bool ok;

	memset(op, 0, sizeof(*op));
	if (!copy)
		return false;
	part = strtok_r(copy, ";", &save);
	ok = part;
	if (ok) {
		/* strtok_r() in parse_head() has a place of its own. */
		char *head = part;

		part = strtok_r(NULL, ";", &save);
		ok = parse_head(head, op);
	}
	while (ok && part) {
		char *next = strtok_r(NULL, ";", &save);

		ok = op->ncmds < MAX_CMDS && parse_cmd(part, &op->cmds[op->ncmds]);
		op->ncmds++;
		part = next;
	}
	free(copy);
	return ok;
}
