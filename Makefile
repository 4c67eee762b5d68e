# Everything works from a clean checkout; .venv is made and refreshed by itself.
# `make PYTHON=/path/to/python3` picks the interpreter.

PY := .venv/bin/python
TOPIC ?=
PYTEST_ARGS ?=
# Processes that share the files of tests, three for each processor, since tests also wait; 0: one
# test after the other. A file's tests stay together, since they share kernels.
PYTEST_WORKERS ?= $(if $(PYTEST_ARGS),0,$(shell expr $$(nproc) '*' 3))
SOAK_SECONDS ?= 120
SOAK_SEED ?= 8
SOAK_WHO ?=
SOAK_SLACK ?=
SOURCES := clove twisted tests examples bench tools
# What goes through sockets, for `make test-fast`.
FAST_TESTS := tests/compiled tests/conformance $(patsubst %,tests/adversary/test_%.py,authority_attacks \
	configuration_attacks connection_churn descriptors_sent dry_run_attacks ending identity limits_inside long_turns \
	narrowed_connections one_user processors rules_and_records share_floods)
FAST_ARGS ?= -n $(shell expr $$(nproc) '*' 3) $(FAST_TESTS)
COUNT ?= 100000
FUZZ_SEED ?= 8
.DEFAULT_GOAL := help
.NOTPARALLEL:
# The tests start some hundred kernels and their agents, each of which would compile all its modules.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help venv dev demo relay-demo relay-schemathesis test test-vm test-cloud test-install test-deploy test-work test-fresh soak relay-faults lint pytest relay-fuzz trial test-fast bench bench-smoke bench-peers bench-page docs site reference lock check-locks dist test-dist dist-compare clean test-image test-image-limits test-manifests

# One line for each check, its output only when it fails.
define quietly
	@printf '  %-24s' '$(1)'; if out=$$($(2) 2>&1); then echo ok; else echo FAILED; printf '%s\n' "$$out"; exit 1; fi
endef

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-18s %s\n", $$1, $$2}' Makefile

venv: ## .venv with what the programs need (.venv/bin/twistd, .venv/bin/clove)
	@tools/venv run

dev: ## .venv with the checks as well
	@tools/venv dev

relay-schemathesis: dev ## a live relay against its OpenAPI document (schemathesis, in an environment of its own)
	@$(PY) -m tests.schemathesis.run $(if $(SCHEMATHESIS_ARGS),-- $(SCHEMATHESIS_ARGS))

demo: venv ## three agents write a report, one is killed half-way (TOPIC="...")
	@$(PY) examples/research_team/demo.py $(if $(TOPIC),--topic "$(TOPIC)")

relay-demo: venv ## a relay, two machines that join it, agents on both and one from outside
	@$(PY) examples/fleet/demo.py

test: lint trial pytest ## every check

lint: dev ## format, lint, types, imports, sizes
	$(call quietly,ruff format,.venv/bin/ruff format --check $(SOURCES))
	$(call quietly,ruff check,.venv/bin/ruff check $(SOURCES))
	$(call quietly,mypy --strict,.venv/bin/mypy)
	$(call quietly,lint-imports,.venv/bin/lint-imports --no-cache)
	$(call quietly,sizes,$(PY) tools/sizes.py $(SOURCES) deploy)

pytest: dev ## the tests (PYTEST_ARGS="tests/unit -k mail")
	@$(PY) -W error -m pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder \
		--max-worker-restart 0 $(PYTEST_ARGS)

test-fast: dev ## the compiled part (clove-fast): its wheel, and the tests that go through sockets, with it (FAST_ARGS=)
	@$(PY) -m tools.fast_venv && CLOVE_COMPILED=required .venv-fast/bin/python -W error -m pytest \
		--dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(FAST_ARGS) && $(PY) -m tools.fast_sanitized || [ $$? = 75 ]

test-vm: venv ## the tests that need cgroup v2 and systemd, in a guest (VM_ARGS="-k memory")
	@tools/vm/run $(VM_ARGS)

test-cloud: dev ## clove deploy aws to a machine in an emulator, from terraform to an agent's output
	@tools/cloud-guest/run

test-manifests: dev ## deploy/kubernetes and the Compose file against schemas of several versions
	@$(PY) -m tests.manifests.run

test-image: dev ## the image of deploy/docker, built and run (podman, buildah; root) (IMAGE_ARGS="-k relay")
	@tools/image/run $(IMAGE_ARGS)

test-image-limits: dev ## the image with limits by cgroup v2, in a guest (podman, buildah, QEMU; root)
	@CLOVE_VM_IMAGE=1 tools/vm/run tests/vm/test_guest_image.py $(VM_ARGS)

test-install: dev ## the installation: newer releases on the index, old pip, other Pythons
	@CLOVE_TEST_INSTALL=1 $(PY) -W error -m pytest tests/install $(PYTEST_ARGS)

test-deploy: dev ## `clove deploy ssh` to Debian with systemd, booted in a container; killed and resumed (root)
	@tools/far-root/run $(PYTEST_ARGS)

test-work: dev ## a day of work in sandboxes: pip, npm, git, pytest, chromium (root and rootless)
	@CLOVE_TEST_WORK=1 $(PY) -W error -m pytest -rs -o faulthandler_timeout=1800 tests/work $(PYTEST_ARGS)

test-fresh: venv ## the demo on a new Debian, as root and as a user (FRESH_ARGS="user make test")
	@tools/fresh-root/run $(FRESH_ARGS)

soak: dev ## hostile agents beside healthy ones (SOAK_SECONDS=, SOAK_SEED=random, SOAK_WHO=rootless)
	@$(PY) -m tests.soak.run --seconds $(SOAK_SECONDS) --seed $(SOAK_SEED) $(if $(SOAK_WHO),--who $(SOAK_WHO)) $(if $(SOAK_SLACK),--slack $(SOAK_SLACK))

relay-fuzz: dev ## anything from anybody to a relay, and from a relay to a kernel (COUNT=, FUZZ_SEED=random)
	@$(PY) -m tests.fuzz.relay_fuzz --count $(COUNT) --seed $(FUZZ_SEED)
	@$(PY) -m tests.fuzz.tunnel_fuzz --count $(COUNT) --seed $(FUZZ_SEED)

relay-faults: dev ## kill relays and stop their database under load; what was acknowledged is done once (RUNS=10, SECONDS=40, SEED=8)
	@$(PY) -m tests.faults.relays --runs $(or $(RUNS),10) --seconds $(or $(SECONDS),40) --seed $(or $(SEED),8)

trial: dev ## the part of the suite that plain trial runs
	$(call quietly,trial,tools/run-trial)

bench: dev ## speed, growth, agents, each row with what it compares to and its bar (BENCH_ARGS="--json FILE --only GROUP")
	@$(PY) -m bench $(BENCH_ARGS)

bench-smoke: dev ## the bench in less than a minute, to see that it runs
	@$(PY) -m bench --smoke

bench-page: dev ## pictures and tables of docs/performance.md, from bench/results/latest.json
	@$(PY) -m bench.pictures
	@$(PY) -m bench.page

bench-peers: dev ## fetch what the bench compares with where it is missing: Redis, uvloop, LiteLLM
	@$(PY) -m bench.peers

docs: dev ## API documentation in apidocs/
	@.venv/bin/pydoctor -q -W --project-name Clove --docformat epytext --html-output apidocs \
		--privacy 'PRIVATE:clove.**._*' clove

site: dev ## the documentation as a site, in site/ (Sphinx, in an environment of its own)
	@$(PY) -m tools.site

reference: dev ## what is made from the code: tables of docs/, clove/client/results/
	@$(PY) tools/reference.py
	@$(PY) tools/results.py

lock: dev ## renew requirements*.lock
	@$(PY) tools/lock.py

check-locks: dev ## are the locks whole for every Python that we support?
	@$(PY) tools/lock.py --check

dist: dev ## wheel, sdist, bundle, Debian package, SBOM, SHA256SUMS in dist/ (DIST_ARGS="--target 3.13:aarch64")
	@$(PY) -m tools.release dist $(DIST_ARGS)

test-dist: dev ## dist/ on a fresh Debian, with and without systemd: package, bundle, a new user's first minutes (root)
	@[ -e dist/SHA256SUMS ] || $(PY) -m tools.release dist $(DIST_ARGS)
	@CLOVE_FRESH_DIST=dist CLOVE_FRESH_OFFLINE=1 tools/fresh-root/run root tools/release/try_package.sh
	@CLOVE_FRESH_DIST=dist CLOVE_FRESH_OFFLINE=1 tools/fresh-root/run user tools/release/try_bundle.sh
	@CLOVE_FRESH_DIST=dist CLOVE_FRESH_OFFLINE=1 tools/fresh-root/run user tools/release/newcomer.sh
	@tools/release/booted dist tools/release/try_package.sh
	@tools/release/booted dist tools/release/try_bundle.sh

dist-compare: dev ## the same, made twice, and the bytes compared
	@$(PY) -m tools.release --compare $(DIST_ARGS)

clean: ## remove what the targets above made
	@rm -rf .venv .venv-fast .venv-release build dist site apidocs .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		_trial_temp* bench/tools/bin *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@rm -f twisted/plugins/dropin.cache
