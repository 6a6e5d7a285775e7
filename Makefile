# SPDX-License-Identifier: GPL-2.0
#
# The front door: each target installs the packages it needs, builds what it needs and runs.
# The work is done by the scripts in tools/ and the Makefiles next to the sources.

KERNEL ?= stock
KDIR ?=
TESTS ?=
MUTANTS ?=
SEED ?=
SEEDS ?= 4
OPS ?= 15000
THREADS ?= 1
REPLAY ?=
ARGS ?=
TIMEOUT ?= 7200
PREFIX ?= /usr/local
DESTDIR ?=

# What a target needs of these goes to it by name.
unexport KERNEL KDIR TESTS MUTANTS
MAKEFLAGS += --no-print-directory

top := $(CURDIR)
out := build/tools
run = tools/vm/run --kernel '$(KERNEL)'
module_args = $(if $(KDIR),--kdir '$(KDIR)',--kernel '$(KERNEL)')
ko = "$$(tools/vm/module $(module_args) --path)"
# With KDIR= the module's kernel is the caller's business, and so are its packages.
kernel_deps = $(if $(KDIR),,'$(KERNEL)')
names = build/results/test-$(notdir $(KERNEL)).names
build_kernel = $(if $(KDIR),:,tools/vm/build-kernel '$(KERNEL)')

MODEL_ARGS = --seeds '$(SEEDS)' --ops '$(OPS)' --threads '$(THREADS)' \
	$(if $(SEED),--seed '$(SEED)') $(if $(REPLAY),--replay '$(REPLAY)') $(ARGS)

.PHONY: help demo test model check unit mutants series bench bench-schemes lint shell kernel \
	module tools tests install clean
help:
	@echo 'Targets:'
	@echo '  demo      build everything, boot a guest and show what fakegpu does'
	@echo '  test      build everything and run the tests in a guest'
	@echo '  model     random operations against a byte-exact model, in a guest'
	@echo '  unit      run the unit test of the page table here, with sanitizers'
	@echo '  mutants   break the driver in many ways, one at a time, and see that tests fail'
	@echo '  series    check, build and boot the kernel patches one by one, run KUnit, and the'
	@echo '            tests that need them (or TESTS=) on the debug kernel with them'
	@echo '  bench     count what device faults cost, hold it against the targets; makes the figures'
	@echo '            of docs/performance.rst (KERNEL=perf by default; ARGS=--guard: a quick look)'
	@echo '  bench-schemes  count what each scheme costs; makes the figures of docs/schemes.rst'
	@echo '  lint      check the source'
	@echo '  check     lint, unit and test'
	@echo '  shell     a shell in a guest with the module loaded'
	@echo '  module    build fakegpu.ko below build/'
	@echo '  tools     build the library and the fakegpu command in build/tools'
	@echo '  install   install these two and the headers (PREFIX, DESTDIR)'
	@echo '  kernel    build KERNEL if it is one that is built; say which kernels there are'
	@echo '  clean     remove build/'
	@echo
	@echo 'Variables:'
	@echo '  KERNEL=stock      the kernel to build for and boot: stock (6.12), stock-6.1, or one'
	@echo '                    that is built first: debug, kcsan, series, perf, or the path of'
	@echo '                    your tree'
	@echo '  KDIR=DIR          for module: a built kernel tree to build against instead'
	@echo "  TESTS='munmap.* perm.*'  for test: only tests whose area.test matches"
	@echo "  MUTANTS='leaf-dropped'    for mutants: only these"
	@echo '  SEED=N SEEDS=4 OPS=15000 THREADS=1 REPLAY=FILE  for model, as its options; ARGS= for more'
	@echo '  TIMEOUT=7200      for test and demo: seconds until a guest is given up'
	@echo '  ACCEL=auto        tcg, kvm, or auto: kvm only where it is known to work'
	@echo
	@echo 'Missing Debian packages are installed (as root or with sudo), or named.'

demo:
	@tools/vm/deps build guest $(kernel_deps)
	@$(build_kernel)
	@$(MAKE) module tools KERNEL='$(KERNEL)'
	@$(run) --timeout '$(TIMEOUT)' -- tools/fakegpu/demo --module $(ko) --tools $(out)/bin

test:
	@tools/vm/deps build guest test $(kernel_deps)
	@$(build_kernel)
	@$(MAKE) module tools tests KERNEL='$(KERNEL)'
	@mkdir -p build/results
	@tools/fakegpu-test/run --list --programs $(out)/tests >'$(names)'
	@$(run) --numa 2 --timeout '$(TIMEOUT)' --share build/results -- \
		tools/fakegpu-test/run --module $(ko) --programs $(out)/tests --names '$(names)' \
		--results 'build/results/test-$(notdir $(KERNEL)).ktap'
test: export TESTS := $(TESTS)

model:
	@tools/vm/deps build guest $(kernel_deps)
	@$(build_kernel)
	@$(MAKE) module tools KERNEL='$(KERNEL)'
	@mkdir -p build/results
	@$(run) --timeout '$(TIMEOUT)' --share build/results --append 'numa=fake=2' -- \
		tools/fakegpu-model/run --module $(ko) --program $(out)/bin/fakegpu-model \
		--results build/results -- $(MODEL_ARGS)

check: lint unit test

unit:
	@tools/vm/deps build
	@$(MAKE) -C tools/unit O='$(top)/build/unit' run

mutants:
	@tools/vm/deps build guest test mutants $(kernel_deps)
	@$(MAKE) tests
	@tools/fakegpu-test/mutants/run --kernel '$(KERNEL)' --programs $(out)/tests $(MUTANTS)

series:
	@tools/vm/deps guest lint debug
	@tools/series $(ARGS)
	@$(if $(ARGS),:,$(MAKE) test KERNEL=series)
series: export TESTS := $(or $(TESTS),*.direct*.*)

# Costs are counted on a kernel without what makes it slower, if none is asked for.
bench_kernel = $(if $(filter file,$(origin KERNEL)),perf,$(KERNEL))

bench:
	@tools/vm/deps build guest test bench '$(bench_kernel)'
	@tools/vm/build-kernel '$(bench_kernel)'
	@$(MAKE) module tools KERNEL='$(bench_kernel)'
	@tools/vm/module --kernel '$(bench_kernel)' --source tools/fakegpu-floor
	@source=$$(tools/vm/source) && $(MAKE) -C tools/fakegpu-cost O='$(top)/$(out)' \
		HMM_UAPI="$$source/lib"
	@tools/bench --kernel '$(bench_kernel)' $(ARGS)

bench-schemes:
	@tools/vm/deps build guest bench perf
	@tools/vm/build-kernel perf
	@$(MAKE) module tools KERNEL=perf
	@tools/bench-schemes $(ARGS)

lint:
	@tools/vm/deps build lint $(kernel_deps)
	@tools/lint --kernel '$(KERNEL)'

shell:
	@tools/vm/deps build guest $(kernel_deps)
	@$(build_kernel)
	@$(MAKE) module tools KERNEL='$(KERNEL)'
	@echo 'The fakegpu command is in $(out)/bin; leave the guest with exit.'
	@$(run) --timeout 0 --interactive --module drm --module libcrc32c --module $(ko)

kernel:
	@tools/vm/deps $(kernel_deps)
	@$(build_kernel)
	@tools/vm/kernel --list
	@echo
	@echo 'KERNEL=$(KERNEL):'
	@tools/vm/kernel '$(KERNEL)'

module:
	@tools/vm/deps build $(kernel_deps)
	@$(build_kernel)
	@tools/vm/module $(module_args)

tools:
	@tools/vm/deps build
	@$(MAKE) -C tools/libfakegpu O='$(top)/$(out)'
	@$(MAKE) -C tools/fakegpu O='$(top)/$(out)'
	@$(MAKE) -C tools/fakegpu-model O='$(top)/$(out)'
	@$(MAKE) -C tools/fakegpu-bench O='$(top)/$(out)'

tests: tools
	@tools/vm/deps build test
	@source=$$(tools/vm/source) && $(MAKE) -C tools/fakegpu-test O='$(top)/$(out)' \
		KSELFTEST="$$source/tools/testing/selftests"

install: tools
	@$(MAKE) -C tools/libfakegpu O='$(top)/$(out)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' install
	@$(MAKE) -C tools/fakegpu O='$(top)/$(out)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' install

clean:
	rm -rf build
