# Thin front ends; each script in tools/ says in its head what it does. The build itself is Meson's.
# Every goal first installs the Debian packages it needs, if any are missing.

DEMO = examples/aks-chatbot.yaml examples/azure-chat.yaml

help:
	@echo 'make demo    build, and answer the example scenarios: which arrangement, why, at what cost'
	@echo 'make test    everything a change must pass, under five minutes'
	@echo 'make bench   simulated requests per second, peak memory, time of the demo'
	@echo 'make bench-compare BASE=revision   is this tree slower? (SELFTEST=1: is that found?)'
	@echo 'make validate   the error tables of docs/model.md, computed anew'
	@echo 'make fuzz    every fuzz target for FUZZ_SECONDS (30) each'
	@echo 'make proof   the full plans and what takes longer; writes a dated summary into docs/proof/'
	@echo 'make format  clang-format over every source file'
	@echo 'make clean   remove build/'

release:
	@tools/install-packages build
	@tools/build build/release gcc -Dbuildtype=release -Db_lto=true -Dwerror=false -Dtests=false

# Exit status 1 is an answer too: nothing meets the objective.
demo: release
	@for scenario in $(DEMO); do \
	    echo "\$$ tranche plan --quick $$scenario"; \
	    build/release/src/cli/tranche plan --quick $$scenario || [ $$? -eq 1 ] || exit 1; \
	    echo; \
	done

test:
	@tools/install-packages build test
	@tools/run-tests

bench:
	@tools/install-packages build
	@tools/run-bench

bench-compare:
	@tools/install-packages build
	@tools/bench-compare $(if $(SELFTEST),--selftest,$(BASE))

validate:
	@tools/install-packages build test
	@tools/build build/gcc gcc -Dbench=true
	@build/gcc/tests/validate docs/model.md

fuzz:
	@tools/install-packages build fuzz
	@tools/run-fuzz

proof: release
	@tools/install-packages build test
	@tools/run-proof

format:
	@tools/install-packages format
	@find src include tests fuzz bench -name '*.[ch]' -exec clang-format -i {} +

clean:
	rm -rf build

.PHONY: help release demo test bench bench-compare validate fuzz proof format clean
