/* SPDX-License-Identifier: MIT */
/*
 * The fakegpu command: what its subcommands share
 */
#ifndef FAKEGPU_TOOL_H
#define FAKEGPU_TOOL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <fakegpu.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define KIB		((size_t)1 << 10)
#define MIB		((size_t)1 << 20)
#define GIB		((size_t)1 << 30)
#define NSEC_PER_SEC	1000000000ULL

/* Exit statuses. */
enum {
	OK = 0,
	FAILED = 1,	/* the device and the CPU don't agree, or it couldn't be tried */
	USAGE = 2,	/* the command line is wrong */
};

#define printf_like(f, a) __attribute__((format(printf, f, a)))

/* ------------------------------------------------------------ subcommands */

int cmd_info(int argc, char **argv);
int cmd_mirror(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_verify(int argc, char **argv);

/* ---------------------------------------------------------------- options */

/* What every subcommand takes; set before or after its name. */
struct common {
	unsigned int device;
	bool device_set;
	bool json;
};

extern struct common common;

enum {
	OPT_DEVICE = 'd',
	OPT_HELP = 'h',
	OPT_JSON = 0x100,
	OPT_SCHEME,
	OPT_INTERVAL_ORDER,
	OPT_WINDOW_ORDER,
	OPT_SEED,
	OPT_OWN,	/* the first of a subcommand's own long options */
};

#define COMMON_OPTIONS						\
	{ "device", required_argument, NULL, OPT_DEVICE },	\
	{ "json", no_argument, NULL, OPT_JSON },		\
	{ "help", no_argument, NULL, OPT_HELP }
#define COMMON_SHORT "d:h"
#define COMMON_HELP							\
	"  -d, --device N   use the Nth fakegpu device (default: 0)\n"	\
	"      --json       print JSON\n"				\
	"  -h, --help       print this\n"

/*
 * Handle an option that the subcommand doesn't know. Returns -1 to go on, else
 * the exit status.
 */
int common_option(int c, const char *help);

/* Both print what is wrong with @arg and return false if it is. */
bool parse_number(const char *name, const char *arg, uint64_t min, uint64_t max, uint64_t *value);
bool parse_size(const char *name, const char *arg, uint64_t min, uint64_t max, uint64_t *value);

/* --------------------------------------------------------------- messages */

/* Print "fakegpu: ..." on stderr; return FAILED and USAGE. */
int fail(const char *fmt, ...) printf_like(1, 2);
int usage(const char *fmt, ...) printf_like(1, 2);

/* A line on stderr at most every five seconds, for long work. */
void progress(const char *fmt, ...) printf_like(1, 2);

/* ----------------------------------------------------------------- device */

/* Open the device that --device names; says what to do if it can't, returns -1. */
int device_open(void);

/* Say why a debugfs file can't be read and what to do about it; returns FAILED. */
int debugfs_fail(const char *what, int err);

const char *scheme_name(uint32_t scheme, uint32_t vm_flags);
const char *access_name(uint32_t access);

/* ------------------------------------------------------------------ words */

struct words {
	char s[64];
};

/* "4 KiB", "1.5 GiB" */
struct words human_size(uint64_t bytes);
/* 1, "page" -> "1 page"; 2 -> "2 pages" */
struct words plural(uint64_t n, const char *word);

/* Escape codes if stdout is a terminal, else "". */
const char *bold(void);
const char *red(void);
const char *green(void);
const char *plain(void);

/* ------------------------------------------------------------------- CPU */

uint64_t now_ns(void);

/* The CPU's own CRC32C, written apart from the kernel's so that it is a check of it. */
uint32_t crc32c(const void *data, size_t size);

struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *rng);
/* 0 <= x < @n */
uint64_t rng_below(struct rng *rng, uint64_t n);
void rng_fill(struct rng *rng, void *data, size_t size);
/* What FILL does. */
void cpu_fill(void *data, size_t size, uint64_t pattern);
uint64_t random_seed(void);

#endif
