# SPDX-License-Identifier: MIT
#
# A program of ours: all *.c of its folder, and libfakegpu. For the makefiles that include it,
# after they have set PROGRAM:
#
# make [O=DIR] [SANITIZE=1]	build DIR/bin/PROGRAM, and libfakegpu before it
# make install [PREFIX=/usr/local] [DESTDIR=]
# make clean

TOOLS := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
ROOT := $(abspath $(TOOLS)/..)
HERE := $(TOOLS)/$(PROGRAM)
O ?= $(ROOT)/build/tools
PREFIX ?= /usr/local

CC ?= gcc
PKG_CONFIG ?= pkg-config
OUT := $(abspath $(O))
OBJ := $(OUT)/obj/$(PROGRAM)
LIBDIR := $(ROOT)/tools/libfakegpu

CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -pthread
override CPPFLAGS += -I$(ROOT)/include/uapi -I$(LIBDIR) $(shell $(PKG_CONFIG) --cflags libdrm) \
		     -MMD -MP
override LDFLAGS += -pthread
LDLIBS := $(shell $(PKG_CONFIG) --libs libdrm)
ifneq ($(SANITIZE),)
override CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=address,undefined
endif

OBJS := $(patsubst $(HERE)/%.c,$(OBJ)/%.o,$(sort $(wildcard $(HERE)/*.c)))
LIB := $(OUT)/lib/libfakegpu.a
BIN := $(OUT)/bin/$(PROGRAM)

.PHONY: all lib install clean
all: $(BIN)

# The library's own makefile knows whether it is up to date, and says what is missing.
lib:
	$(MAKE) -C $(LIBDIR) O=$(OUT) SANITIZE=$(SANITIZE)

$(LIB): lib ;

$(BIN): $(OBJS) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $(OBJS) $(LIB) $(LDLIBS)

$(OBJ)/%.o: $(HERE)/%.c $(HERE)/Makefile $(TOOLS)/program.mk | lib
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/

clean:
	rm -rf $(OBJ) $(BIN)

-include $(OBJS:.o=.d)
