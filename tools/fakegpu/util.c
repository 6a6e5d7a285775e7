// SPDX-License-Identifier: MIT
/*
 * The fakegpu command: options, messages, words, and the CPU's side of the sums
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#ifndef DEBUGFS_MAGIC
#define DEBUGFS_MAGIC 0x64626720
#endif

struct common common;

/* ---------------------------------------------------------------- options */

int common_option(int c, const char *help)
{
	uint64_t value;

	switch (c) {
	case OPT_DEVICE:
		if (!parse_number("--device", optarg, 0, 255, &value))
			return USAGE;
		common.device = value;
		common.device_set = true;
		return -1;
	case OPT_JSON:
		common.json = true;
		return -1;
	case OPT_HELP:
		fputs(help, stdout);
		return OK;
	default:
		/* getopt has said what is wrong. */
		fputs("Add --help to see what can be given.\n", stderr);
		return USAGE;
	}
}

static bool parse(const char *name, const char *arg, uint64_t min, uint64_t max,
		  uint64_t *value, bool suffix)
{
	unsigned int shift = 0;
	char *end;

	errno = 0;
	*value = strtoull(arg, &end, 0);
	if (errno || end == arg || strchr(arg, '-'))
		goto bad;
	if (suffix && *end) {
		static const char suffixes[] = "KMGT";
		const char *s = strchr(suffixes, *end >= 'a' ? *end - 'a' + 'A' : *end);

		if (!s)
			goto bad;
		shift = 10 * (s - suffixes + 1);
		end++;
		if (!strcmp(end, "iB"))
			end += 2;
	}
	if (*end || *value > UINT64_MAX >> shift)
		goto bad;
	*value <<= shift;
	if (*value >= min && *value <= max)
		return true;
bad:
	if (suffix)
		fail("%s: '%s' is not a size from %s to %s (4096, 64K, 2M, 1G)",
		     name, arg, human_size(min).s, human_size(max).s);
	else
		fail("%s: '%s' is not a number from %" PRIu64 " to %" PRIu64,
		     name, arg, min, max);
	return false;
}

bool parse_number(const char *name, const char *arg, uint64_t min, uint64_t max, uint64_t *value)
{
	return parse(name, arg, min, max, value, false);
}

bool parse_size(const char *name, const char *arg, uint64_t min, uint64_t max, uint64_t *value)
{
	return parse(name, arg, min, max, value, true);
}

/* --------------------------------------------------------------- messages */

static void message(const char *fmt, va_list args)
{
	/* Keep the order of what both streams show. */
	fflush(stdout);
	flockfile(stderr);
	fputs("fakegpu: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	funlockfile(stderr);
}

int fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
	return FAILED;
}

int usage(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
	fputs("Add --help to see what can be given.\n", stderr);
	return USAGE;
}

void progress(const char *fmt, ...)
{
	static uint64_t last;
	uint64_t now = now_ns();
	va_list args;

	/* Quick work stays quiet. */
	if (!last)
		last = now;
	if (now - last < 5 * NSEC_PER_SEC)
		return;
	last = now;
	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
}

/* ----------------------------------------------------------------- device */

int device_open(void)
{
	int fd = fakegpu_open(common.device);
	int count;

	if (fd >= 0)
		return fd;

	switch (fd) {
	case -ENODEV:
		count = fakegpu_count();
		if (count > 0)
			fail("there is no device %u, only %d: load the module with num_devices=%u",
			     common.device, count, common.device + 1);
		else if (!access("/sys/module/fakegpu", F_OK))
			fail("the module is loaded, but it has no device that can be seen here:\n"
			     "  is there a /dev/dri (devtmpfs or udev)?"
			     " What does 'dmesg | grep fakegpu' say?");
		else
			fail("no fakegpu device: load the module, as root:\n"
			     "  modprobe -a drm libcrc32c && insmod fakegpu.ko");
		break;
	case -EACCES:
	case -EPERM:
		fail("may not open the render node: become root, or a member of its group:\n"
		     "  ls -l /dev/dri; adduser $USER render; then log in again");
		break;
	default:
		fail("can't open device %u: %s", common.device, strerror(-fd));
	}
	return -1;
}

int debugfs_fail(const char *what, int err)
{
	struct statfs fs;

	if (err == -EACCES || err == -EPERM)
		return fail("%s: only root may read debugfs: try again with sudo", what);
	if (statfs("/sys/kernel/debug", &fs) || fs.f_type != DEBUGFS_MAGIC)
		return fail("%s: debugfs is not mounted:\n"
			    "  mount -t debugfs none /sys/kernel/debug", what);
	if (err == -ENOENT)
		return fail("%s: not there: was the VM closed a moment ago,"
			    " or does this kernel lack CONFIG_DEBUG_FS?", what);
	if (err == -EPROTO)
		return fail("%s: doesn't look as this program expects: module and program must be"
			    " of the same version", what);
	return fail("%s: %s", what, strerror(-err));
}

const char *scheme_name(uint32_t scheme, uint32_t vm_flags)
{
	return fakegpu_scheme_name(scheme, vm_flags) ?: "?";
}

const char *access_name(uint32_t access)
{
	switch (access) {
	case DRM_FAKEGPU_ACCESS_READ:
		return "read";
	case DRM_FAKEGPU_ACCESS_WRITE:
		return "write";
	case DRM_FAKEGPU_ACCESS_ATOMIC:
		return "atomic";
	default:
		return "?";
	}
}

/* ------------------------------------------------------------------ words */

struct words human_size(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int unit = 0;
	struct words w;

	while (unit + 1 < ARRAY_SIZE(units) && bytes >> (10 * unit) >= 1024)
		unit++;
	if (bytes == 1)
		snprintf(w.s, sizeof(w.s), "1 byte");
	else if (bytes & ((1ULL << (10 * unit)) - 1))
		snprintf(w.s, sizeof(w.s), "%.1f %s", (double)bytes / (1ULL << (10 * unit)),
			 units[unit]);
	else
		snprintf(w.s, sizeof(w.s), "%" PRIu64 " %s", bytes >> (10 * unit), units[unit]);
	return w;
}

struct words plural(uint64_t n, const char *word)
{
	struct words w;

	if (n != 1 && !strcmp(word, "retry"))
		snprintf(w.s, sizeof(w.s), "%" PRIu64 " retries", n);
	else
		snprintf(w.s, sizeof(w.s), "%" PRIu64 " %s%s", n, word,
			 n == 1 ? "" : strcmp(word, "mismatch") ? "s" : "es");
	return w;
}

static bool color(void)
{
	static int known = -1;

	if (known < 0)
		known = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	return known;
}

const char *bold(void)
{
	return color() ? "\033[1m" : "";
}

const char *red(void)
{
	return color() ? "\033[31m" : "";
}

const char *green(void)
{
	return color() ? "\033[32m" : "";
}

const char *plain(void)
{
	return color() ? "\033[0m" : "";
}

/* -------------------------------------------------------------------- CPU */

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Eight bytes a step: table n advances the CRC of a byte by n more zero bytes. */
static uint32_t crc_table[8][256];

static void __attribute__((constructor)) crc32c_init(void)
{
	uint32_t crc;
	int i, bit, n;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
		crc_table[0][i] = crc;
	}
	for (n = 1; n < 8; n++)
		for (i = 0; i < 256; i++) {
			crc = crc_table[n - 1][i];
			crc_table[n][i] = crc >> 8 ^ crc_table[0][crc & 0xff];
		}
}

uint32_t crc32c(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t crc = ~0U;

	while (size >= 8) {
		uint64_t v;

		memcpy(&v, p, sizeof(v));
		v ^= crc;
		crc = crc_table[7][v & 0xff] ^ crc_table[6][v >> 8 & 0xff] ^
		      crc_table[5][v >> 16 & 0xff] ^ crc_table[4][v >> 24 & 0xff] ^
		      crc_table[3][v >> 32 & 0xff] ^ crc_table[2][v >> 40 & 0xff] ^
		      crc_table[1][v >> 48 & 0xff] ^ crc_table[0][v >> 56];
		p += 8;
		size -= 8;
	}
	while (size--)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

/* splitmix64 */
uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return rng_next(rng) % n;
}

void rng_fill(struct rng *rng, void *data, size_t size)
{
	uint8_t *p = data;

	while (size) {
		uint64_t v = rng_next(rng);
		size_t n = size < sizeof(v) ? size : sizeof(v);

		memcpy(p, &v, n);
		p += n;
		size -= n;
	}
}

void cpu_fill(void *data, size_t size, uint64_t pattern)
{
	uint8_t *p = data;

	while (size) {
		size_t n = size < sizeof(pattern) ? size : sizeof(pattern);

		memcpy(p, &pattern, n);
		p += n;
		size -= n;
	}
}

uint64_t random_seed(void)
{
	uint32_t seed;

	/* 32 bits are enough, and easier to type again. */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = now_ns();
	return seed;
}
