// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers common to all fakegpu test programs; see fakegpu_test.h.
 */
#define GPU_TEST_NO_HARNESS
#include "fakegpu_test.h"

#include <sys/ioctl.h>
#include <sys/utsname.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/*
 * Nothing else in a process maps these addresses: programs, their heap and
 * libraries lie far above. Results are at least a TiB, that is one slot of any
 * order, away from what tests count.
 */
#define RES_BASE	0x1f0000000000ULL
#define ARENA_BASE	0x200000000000ULL

static __thread char why[4096];

const char *gpu_why(void)
{
	return why;
}

__attribute__((format(printf, 1, 2)))
static void say_why(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
}

void gpu_die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "# ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	abort();
}

/* -------------------------------------------------------- open and close --- */

static uint64_t round_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) / align * align;
}

static int map_result(struct gpu *gpu)
{
	static uint64_t next = RES_BASE;
	uint64_t va = __atomic_fetch_add(&next, GPU_SZ_2M, __ATOMIC_RELAXED);
	void *p;

	p = mmap((void *)(uintptr_t)va, GPU_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p == MAP_FAILED) {
		say_why("mmap of the result page: %s", strerror(errno));
		return -errno;
	}
	madvise(p, GPU_PAGE, MADV_NOHUGEPAGE);
	memset(p, 0, GPU_PAGE);
	gpu->res = p;
	return 0;
}

int gpu_vm_create(int fd, uint32_t flags, const struct gpu_conf *conf, uint32_t *vm)
{
	struct drm_fakegpu_dev_info info;
	uint32_t range;
	int ret;

	ret = fakegpu_vm_create(fd, flags | (conf->flags & DRM_FAKEGPU_VM_DIRECT), conf->scheme,
				conf->interval_order, conf->window_order, vm);
	if (ret || conf->scheme != DRM_FAKEGPU_SCHEME_FIXED)
		return ret;
	ret = fakegpu_dev_info(fd, &info);
	if (!ret)
		ret = fakegpu_range_register(fd, *vm, info.va_start, info.va_end - info.va_start,
					     &range);
	if (ret)
		fakegpu_vm_destroy(fd, *vm);
	return ret;
}

int gpu_open_cold(struct gpu *gpu, const struct gpu_conf *conf, unsigned int index)
{
	int ret;

	memset(gpu, 0, sizeof(*gpu));
	gpu->fd = -1;
	if (conf)
		gpu->conf = *conf;
	ret = fakegpu_open(index);
	if (ret < 0) {
		say_why("fakegpu_open: %s", strerror(-ret));
		return ret;
	}
	gpu->fd = ret;
	ret = fakegpu_dev_info(gpu->fd, &gpu->info);
	if (ret) {
		say_why("fakegpu_dev_info: %s", strerror(-ret));
		goto err;
	}
	gpu->gauges = gpu_gauges(gpu);
	ret = gpu_vm_create(gpu->fd, gpu->conf.flags, &gpu->conf, &gpu->vm);
	if (ret) {
		say_why("gpu_vm_create: %s", strerror(-ret));
		goto err;
	}
	ret = fakegpu_queue_create(gpu->fd, gpu->vm, &gpu->queue);
	if (ret) {
		say_why("fakegpu_queue_create: %s", strerror(-ret));
		goto err;
	}
	return 0;
err:
	close(gpu->fd);
	gpu->fd = -1;
	return ret;
}

int gpu_open(struct gpu *gpu, const struct gpu_conf *conf)
{
	struct drm_fakegpu_cmd warm;
	int ret;

	ret = gpu_open_cold(gpu, conf, 0);
	if (ret)
		return ret;
	ret = map_result(gpu);
	if (ret)
		return ret;
	warm = fakegpu_fill(gpu->res, GPU_PAGE, 0);
	return gpu_run(gpu, &warm, 1);
}

int gpu_close(struct gpu *gpu)
{
	struct gpu after = { .fd = -1 };
	char link[64], path[256];
	ssize_t len;
	int ret = 0;

	/* The gauges are asked for after the file is gone, by one of our own. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", gpu->fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len > 0) {
		path[len] = 0;
		after.fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (after.fd < 0)
		gpu_die("gpu_close: cannot open the device once more: %s", strerror(errno));

	if (gpu->queue)
		ret = fakegpu_queue_destroy(gpu->fd, gpu->queue);
	if (ret)
		say_why("fakegpu_queue_destroy: %s", strerror(-ret));
	/* EBUSY is fine: closing takes along the queues that a test left behind. */
	if (!ret && gpu->vm) {
		ret = fakegpu_vm_destroy(gpu->fd, gpu->vm);
		if (ret == -EBUSY)
			ret = 0;
		if (ret)
			say_why("fakegpu_vm_destroy: %s", strerror(-ret));
	}
	close(gpu->fd);
	gpu->fd = -1;
	if (!ret)
		ret = gpu_gauges_settle(&after, &gpu->gauges);
	close(after.fd);
	if (gpu->res)
		munmap((void *)gpu->res, GPU_PAGE);
	gpu->res = NULL;
	return ret;
}

uint32_t gpu_queue(struct gpu *gpu)
{
	uint32_t id = 0;
	int ret = fakegpu_queue_create(gpu->fd, gpu->vm, &id);

	if (ret)
		gpu_die("gpu_queue: %s", strerror(-ret));
	return id;
}

int gpu_verify(struct gpu *gpu)
{
	int ret;

	why[0] = 0;
	ret = fakegpu_verify(gpu->fd, why, sizeof(why));
	if (ret < 0)
		say_why("debugfs verify: %s (run as root, with debugfs mounted)",
			strerror(-ret));
	return ret;
}

uint64_t gpu_stat(struct gpu *gpu, const char *name)
{
	uint64_t value = 0;
	int ret = fakegpu_stat(gpu->fd, name, &value);

	if (ret)
		gpu_die("debugfs stats, %s: %s (run as root, with debugfs mounted)", name,
			strerror(-ret));
	return value;
}

/* All of them from one reading of the file. */
struct gpu_gauges gpu_gauges(struct gpu *gpu)
{
	struct gpu_gauges g = { 0 };
	const struct {
		const char *name;
		uint64_t *value;
	} wanted[] = {
		{ "vms", &g.vms },
		{ "queues", &g.queues },
		{ "intervals", &g.intervals },
		{ "nodes", &g.nodes },
		{ "pages_small", &g.pages_small },
		{ "leaves_large", &g.leaves_large },
		{ "faults_pending", &g.faults_pending },
		{ "attrs", &g.attrs },
		{ "attr_intervals", &g.attr_intervals },
	};
	const size_t count = sizeof(wanted) / sizeof(*wanted);
	char path[128], line[256], name[64];
	unsigned long long value;
	size_t found = 0, i;
	FILE *file;
	int ret = fakegpu_debug_path(gpu->fd, "stats", path, sizeof(path));

	if (ret)
		gpu_die("debugfs stats: %s", strerror(-ret));
	file = fopen(path, "re");
	if (!file)
		gpu_die("%s: %s (run as root, with debugfs mounted)", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63[^:]: %llu", name, &value) != 2)
			continue;
		for (i = 0; i < count; i++) {
			if (strcmp(name, wanted[i].name))
				continue;
			*wanted[i].value = value;
			found++;
		}
	}
	fclose(file);
	if (found != count)
		gpu_die("%s tells %zu of %zu gauges", path, found, count);
	return g;
}

int gpu_gauges_settle(struct gpu *gpu, const struct gpu_gauges *want)
{
	int64_t end = gpu_now() + GPU_WAIT_NS;
	struct gpu_gauges now;

	do {
		now = gpu_gauges(gpu);
		if (!memcmp(&now, want, sizeof(now)))
			return 0;
		usleep(1000);
	} while (gpu_now() < end);

#define PAIR(gauge) (unsigned long long)now.gauge, (unsigned long long)want->gauge
	say_why("left behind (now, before): vms %llu %llu, queues %llu %llu, intervals %llu %llu, nodes %llu %llu, pages_small %llu %llu, leaves_large %llu %llu, faults_pending %llu %llu, attrs %llu %llu, attr_intervals %llu %llu",
		PAIR(vms), PAIR(queues), PAIR(intervals), PAIR(nodes), PAIR(pages_small),
		PAIR(leaves_large), PAIR(faults_pending), PAIR(attrs), PAIR(attr_intervals));
#undef PAIR
	return -ETIME;
}

struct drm_fakegpu_vm_get_state gpu_state(struct gpu *gpu)
{
	struct drm_fakegpu_vm_get_state state = { 0 };
	int ret = fakegpu_vm_state(gpu->fd, gpu->vm, &state);

	if (ret)
		gpu_die("fakegpu_vm_state: %s", strerror(-ret));
	return state;
}

struct gpu_before gpu_look(struct gpu *gpu)
{
	struct gpu_before b;
	int ret;

	memset(&b, 0, sizeof(b));
	b.vm = gpu_state(gpu);
	b.vm.invalidations = 0;
	b.vm.invalidations_useful = 0;
	b.vm.memory = 0;
	ret = fakegpu_queue_state(gpu->fd, gpu->queue, &b.queue);
	if (ret)
		gpu_die("fakegpu_queue_state: %s", strerror(-ret));
	b.gauges = gpu_gauges(gpu);
	return b;
}

int gpu_ioctl(int fd, unsigned long nr, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, nr, arg);
	} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : 0;
}

/* -------------------------------------------------------------- commands --- */

int gpu_run_on(struct gpu *gpu, uint32_t queue, const struct drm_fakegpu_cmd *cmds,
	       uint32_t count)
{
	struct drm_fakegpu_queue_get_state state = { 0 };
	int64_t begin = gpu_now();
	uint64_t seqno = 0;
	int ret;

	ret = fakegpu_submit(gpu->fd, queue, cmds, count, &seqno);
	if (ret) {
		say_why("submit: %s", strerror(-ret));
		return ret;
	}
	ret = fakegpu_wait(gpu->fd, queue, seqno, GPU_RUN_NS);
	/* Who was never woken up sees that it is done when his time is over. */
	if (!ret && gpu_now() - begin >= GPU_RUN_NS)
		ret = -ETIME;
	if (!ret)
		return 0;
	if (fakegpu_queue_state(gpu->fd, queue, &state))
		say_why("wait: %s", strerror(-ret));
	else
		say_why("wait: %s; seqno %llu of %llu, command %u after %llu, flags %#x, error %u at %#llx",
			strerror(-ret), (unsigned long long)seqno,
			(unsigned long long)state.completed, state.cmd_index,
			(unsigned long long)state.cmd_done, state.flags, state.error,
			(unsigned long long)state.fault_addr);
	return ret;
}

int gpu_run(struct gpu *gpu, const struct drm_fakegpu_cmd *cmds, uint32_t count)
{
	return gpu_run_on(gpu, gpu->queue, cmds, count);
}

static int check_fatal(struct gpu *gpu, uint32_t queue, uint64_t total_before)
{
	struct drm_fakegpu_queue_get_state *q = &gpu->fatal.queue;
	struct drm_fakegpu_fault_info *info = &gpu->fatal.info;
	struct drm_fakegpu_fault_info log[64];
	uint32_t count = 64;
	uint64_t total = 0;
	int ret;

	ret = fakegpu_queue_state(gpu->fd, queue, q);
	if (ret) {
		say_why("fakegpu_queue_state: %s", strerror(-ret));
		return ret;
	}
	ret = fakegpu_vm_faults(gpu->fd, gpu->vm, log, &count, &total);
	if (ret || !count) {
		say_why("fakegpu_vm_faults: %s, %u faults", strerror(-ret), count);
		return ret ? ret : -ENODATA;
	}
	*info = log[count - 1];
	if (!(q->flags & DRM_FAKEGPU_QUEUE_FATAL) || total != total_before + 1 ||
	    info->queue_id != queue || info->seqno != q->completed + 1 ||
	    info->cmd_index != q->cmd_index || info->addr != q->fault_addr ||
	    info->error != q->error || !info->error || !info->time_ns) {
		say_why("reports differ: queue %u flags %#x completed %llu command %u error %u at %#llx, fault log (%llu, was %llu) queue %u seqno %llu command %u error %u at %#llx",
			queue, q->flags, (unsigned long long)q->completed, q->cmd_index,
			q->error, (unsigned long long)q->fault_addr, (unsigned long long)total,
			(unsigned long long)total_before, info->queue_id,
			(unsigned long long)info->seqno, info->cmd_index, info->error,
			(unsigned long long)info->addr);
		return -EBADMSG;
	}
	return 0;
}

int gpu_run_fatal(struct gpu *gpu, const struct drm_fakegpu_cmd *cmds, uint32_t count)
{
	uint32_t queue, none = 0;
	uint64_t total = 0;
	int ret;

	memset(&gpu->fatal, 0, sizeof(gpu->fatal));
	ret = fakegpu_vm_faults(gpu->fd, gpu->vm, NULL, &none, &total);
	if (ret) {
		say_why("fakegpu_vm_faults: %s", strerror(-ret));
		return ret;
	}
	queue = gpu_queue(gpu);
	ret = gpu_run_on(gpu, queue, cmds, count);
	if (ret == -EIO) {
		ret = check_fatal(gpu, queue, total);
	} else if (!ret) {
		say_why("the commands succeeded, a fatal fault was expected");
		ret = -ENODATA;
	}
	fakegpu_queue_destroy(gpu->fd, queue);
	return ret;
}

/* ---------------------------------------------------------------- mirror --- */

int gpu_runs(struct gpu *gpu, const volatile void *addr, size_t size,
	     struct drm_fakegpu_vm_run *runs, uint32_t max)
{
	uint64_t next = 0;
	uint32_t count = max;
	int ret;

	ret = fakegpu_vm_query(gpu->fd, gpu->vm, addr, size, runs, &count, &next);
	if (ret) {
		say_why("fakegpu_vm_query: %s", strerror(-ret));
		return ret;
	}
	return count;
}

bool gpu_entries_like(struct gpu *gpu, const volatile void *addr, size_t size,
		      uint32_t flags, uint32_t order, uint32_t where)
{
	struct drm_fakegpu_vm_run runs[16];
	int i, len, n = gpu_runs(gpu, addr, size, runs, 16);

	if (n == 1 && runs[0].start == fakegpu_va(addr) &&
	    runs[0].end == fakegpu_va(addr) + size && runs[0].flags == flags &&
	    runs[0].order == order && runs[0].where == where && !runs[0].pad)
		return true;
	if (n < 0)
		return false;
	len = snprintf(why, sizeof(why),
		       "expected %#llx-%#llx flags %#x order %u where %u, found %d runs:",
		       (unsigned long long)fakegpu_va(addr),
		       (unsigned long long)fakegpu_va(addr) + size, flags, order, where, n);
	for (i = 0; i < n; i++)
		len += snprintf(why + len, sizeof(why) - len, " %#llx-%#llx/%#x/%u/%u",
				(unsigned long long)runs[i].start,
				(unsigned long long)runs[i].end, runs[i].flags,
				runs[i].order, runs[i].where);
	return false;
}

int64_t gpu_mapped(struct gpu *gpu, const volatile void *addr, size_t size)
{
	return fakegpu_vm_mapped(gpu->fd, gpu->vm, addr, size);
}

/* ---------------------------------------------------------------- memory --- */

void *gpu_va(size_t size, size_t align)
{
	static uint64_t next = ARENA_BASE;
	uint64_t old, va;

	if (align < GPU_SZ_2M)
		align = GPU_SZ_2M;
	old = __atomic_load_n(&next, __ATOMIC_RELAXED);
	do {
		va = round_up(old, align);
	} while (!__atomic_compare_exchange_n(&next, &old,
					      va + round_up(size, GPU_SZ_2M) + GPU_SZ_2M,
					      false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return (void *)(uintptr_t)va;
}

void *gpu_map(size_t size, int prot, int flags, int fd, off_t offset)
{
	void *va = gpu_va(size, GPU_SZ_2M);
	void *p = mmap(va, size, prot, flags | MAP_FIXED_NOREPLACE, fd, offset);

	if (p != va)
		gpu_die("mmap of %zu bytes at %p: %s", size, va, strerror(errno));
	return p;
}

void *gpu_map_anon(size_t size)
{
	void *p = gpu_map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* EINVAL: a kernel without THPs. */
	if (madvise(p, size, MADV_NOHUGEPAGE) && errno != EINVAL)
		gpu_die("MADV_NOHUGEPAGE: %s", strerror(errno));
	return p;
}

size_t gpu_thp_bytes(const volatile void *addr, size_t size)
{
	uint64_t start = (uintptr_t)addr, end = start + size, sum = 0;
	unsigned long long from, to, kib;
	bool inside = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "re");

	if (!f)
		gpu_die("/proc/self/smaps: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			inside = from >= start && to <= end;
		else if (inside && sscanf(line, "AnonHugePages: %llu kB", &kib) == 1)
			sum += kib * 1024;
	}
	fclose(f);
	return sum;
}

void *gpu_map_huge(size_t size)
{
	volatile char *p = gpu_map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
	size_t i;

	if (size % GPU_SZ_2M)
		gpu_die("gpu_map_huge: %zu bytes are no multiple of 2 MiB", size);
	if (madvise((void *)p, size, MADV_HUGEPAGE)) {
		say_why("MADV_HUGEPAGE: %s", strerror(errno));
		goto none;
	}
	for (i = 0; i < size; i += GPU_PAGE)
		p[i] = 0;
	if (gpu_thp_bytes(p, size) != size)
		madvise((void *)p, size, MADV_COLLAPSE);
	if (gpu_thp_bytes(p, size) == size)
		return (void *)p;
	say_why("only %zu of %zu bytes are in THPs (see transparent_hugepage/enabled, free memory)",
		gpu_thp_bytes(p, size), size);
none:
	munmap((void *)p, size);
	return NULL;
}

int gpu_memfd(size_t size)
{
	int fd = memfd_create("fakegpu-test", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size))
		gpu_die("memfd of %zu bytes: %s", size, strerror(errno));
	return fd;
}

int gpu_tmpfile(size_t size)
{
	char path[] = "/tmp/fakegpu-test-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd < 0 || unlink(path) || ftruncate(fd, size))
		gpu_die("%s: %s", path, strerror(errno));
	return fd;
}

void gpu_cpu_present_pages(const volatile void *addr, size_t pages, bool *present)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t size = pages * sizeof(uint64_t), i;
	uint64_t *entries = calloc(pages, sizeof(*entries));

	if (fd < 0 || !entries ||
	    pread(fd, entries, size, (uintptr_t)addr / GPU_PAGE * sizeof(*entries)) !=
		    (ssize_t)size)
		gpu_die("/proc/self/pagemap: %s", strerror(errno));
	for (i = 0; i < pages; i++)
		present[i] = entries[i] >> 63;
	free(entries);
	close(fd);
}

bool gpu_cpu_present(const volatile void *addr)
{
	bool present;

	gpu_cpu_present_pages(addr, 1, &present);
	return present;
}

/* ------------------------------------------------------------- contents --- */

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint64_t pattern_word(uint64_t seed, uint64_t word)
{
	return mix(mix(seed + 1) + word * 0x9e3779b97f4a7c15ULL);
}

uint8_t gpu_pattern_byte(uint64_t seed, uint64_t index)
{
	return pattern_word(seed, index / 8) >> (index % 8 * 8);
}

/* A piece of the pattern in a buffer: at most @room bytes, at least one. */
static size_t pattern_chunk(uint8_t *buf, size_t room, size_t size, uint64_t seed,
			    uint64_t first)
{
	size_t n = 0;

	if (size > room)
		size = room;
	while (n < size) {
		uint64_t word = pattern_word(seed, (first + n) / 8);

		do {
			buf[n] = word >> ((first + n) % 8 * 8);
			n++;
		} while (n < size && (first + n) % 8);
	}
	return n;
}

void gpu_pattern_at(volatile void *p, size_t size, uint64_t seed, uint64_t first)
{
	uint8_t buf[GPU_PAGE];
	size_t done = 0, n;

	for (; done < size; done += n) {
		n = pattern_chunk(buf, sizeof(buf), size - done, seed, first + done);
		memcpy((uint8_t *)p + done, buf, n);
	}
}

void gpu_pattern(volatile void *p, size_t size, uint64_t seed)
{
	gpu_pattern_at(p, size, seed, 0);
}

size_t gpu_pattern_diff_at(const volatile void *p, size_t size, uint64_t seed,
			   uint64_t first)
{
	const uint8_t *bytes = (const uint8_t *)p;
	uint8_t buf[GPU_PAGE];
	size_t done = 0, n, i;

	for (; done < size; done += n) {
		n = pattern_chunk(buf, sizeof(buf), size - done, seed, first + done);
		if (!memcmp(bytes + done, buf, n))
			continue;
		for (i = 0; i < n; i++)
			if (bytes[done + i] != buf[i])
				return done + i;
	}
	return size;
}

size_t gpu_pattern_diff(const volatile void *p, size_t size, uint64_t seed)
{
	return gpu_pattern_diff_at(p, size, seed, 0);
}

size_t gpu_byte_diff(const volatile void *p, size_t size, uint8_t byte)
{
	const volatile uint8_t *bytes = p;
	size_t i;

	for (i = 0; i < size; i++)
		if (bytes[i] != byte)
			return i;
	return size;
}

static uint32_t crc_update(uint32_t crc, const uint8_t *p, size_t size)
{
	static uint32_t table[256];
	size_t i;
	int bit;

	if (!table[255]) {
		for (i = 0; i < 256; i++) {
			uint32_t value = i;

			for (bit = 0; bit < 8; bit++)
				value = value >> 1 ^ (value & 1 ? 0x82f63b78 : 0);
			table[i] = value;
		}
	}
	for (i = 0; i < size; i++)
		crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
	return crc;
}

uint32_t gpu_crc(const volatile void *p, size_t size)
{
	return ~crc_update(~0u, (const uint8_t *)p, size);
}

uint32_t gpu_crc_pattern(size_t size, uint64_t seed, uint64_t first)
{
	uint8_t buf[GPU_PAGE];
	uint32_t crc = ~0u;
	size_t done = 0, n;

	for (; done < size; done += n) {
		n = pattern_chunk(buf, sizeof(buf), size - done, seed, first + done);
		crc = crc_update(crc, buf, n);
	}
	return ~crc;
}

uint32_t gpu_crc_byte(size_t size, uint8_t byte)
{
	uint8_t buf[GPU_PAGE];
	uint32_t crc = ~0u;
	size_t n;

	memset(buf, byte, sizeof(buf));
	for (; size; size -= n) {
		n = size < sizeof(buf) ? size : sizeof(buf);
		crc = crc_update(crc, buf, n);
	}
	return ~crc;
}

int gpu_device_crc(struct gpu *gpu, const volatile void *p, size_t size, uint64_t *crc)
{
	struct drm_fakegpu_cmd cmd = fakegpu_checksum(p, size, &gpu->res[0]);
	int ret;

	gpu->res[0] = ~0ULL;
	ret = gpu_run(gpu, &cmd, 1);
	*crc = gpu->res[0];
	return ret;
}

uint64_t gpu_rand(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return mix(*state);
}

int64_t gpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

FILE *gpu_vm_file(const struct gpu *gpu, uint32_t vm, const char *name)
{
	char file[64], path[300];
	FILE *f;

	snprintf(file, sizeof(file), "vm%u/%s", vm, name);
	if (fakegpu_debug_path(gpu->fd, file, path, sizeof(path)))
		gpu_die("no path of debugfs %s", file);
	f = fopen(path, "re");
	if (!f)
		gpu_die("%s: %s", path, strerror(errno));
	return f;
}

bool gpu_kernel_at_least(unsigned int major, unsigned int minor)
{
	unsigned int has_major, has_minor;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &has_major, &has_minor) != 2)
		gpu_die("a kernel without a version");
	return has_major > major || (has_major == major && has_minor >= minor);
}

#define STRESS_NS	5000000000LL

bool gpu_more(unsigned int done, unsigned int max, int64_t begin)
{
	return done < max && (done < max / 10 || gpu_now() - begin < STRESS_NS);
}
