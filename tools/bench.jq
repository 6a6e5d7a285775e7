# SPDX-License-Identifier: GPL-2.0
#
# What tools/bench and tools/bench-schemes make tables with.

# A number as one reads it; "-" where there is none.
def number:
	if . == null then "-"
	elif . >= 100 then round | tostring
	elif . >= 10 then (. * 10 | round) / 10 | tostring
	else (. * 1000 | round) / 1000 | tostring end;

# Names, which are strings, in the order in which they come, each once.
def in_order(name):
	reduce .[] as $r ([]; ($r | name) as $n | if index($n) then . else . + [$n] end);
