# scripts/tools.sh installs wasm-bindgen, wasm-opt, tailwindcss and esbuild there.
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/style/node_modules/.bin:$(PATH)

# Newer than every source when the browser side is up to date: optimising it takes half a minute.
SITE := target/site/.built
SERVER := cargo build --no-default-features --features ssr --bin keyfob
OWN_APP := examples/own_app/Cargo.toml
# One folder for all packages, so that what they share is built once.
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
SOURCES := $(shell find src migrations public style/main.css style/package-lock.json Cargo.toml Cargo.lock build.rs .cargo -type f)

# $(call step,title,command): prints the title, and which step failed. The command contains no comma.
define step
@printf '\n==> %s\n' '$(1)'; $(2) || { code=$$?; printf '\n==> Failed: %s\n' '$(1)' >&2; exit $$code; }
endef

.PHONY: help run server dev test test-faults test-upgrade soak mutants fuzz bench security-scan audit dist lighthouse screenshots
.DEFAULT_GOAL := help

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s%s\n", $$1, $$2 }' Makefile

run: ## install what is missing, build, serve http://localhost:8000 on SQLite
	@scripts/tools.sh run
	@$(MAKE) --no-print-directory -j2 $(SITE) server
	@./target/debug/keyfob serve

# As `cargo test` builds it, so that nothing is built twice. `make dist` and `make bench` build it with optimisation, which takes
# three times as long.
server:
	@echo '==> Building the server'
	@cargo build --bin keyfob

$(SITE): $(SOURCES)
	@echo '==> Building the browser side'
	@scripts/site.sh
	@touch $@

dev: ## rebuild and reload on each change
	@scripts/tools.sh dev
	@rm -f $(SITE)
	cargo-leptos watch

test: ## install what is missing, run every check: format, lints, tests on SQLite and PostgreSQL, browser tests
	$(call step,Tools,scripts/tools.sh test)
	$(call step,Crates: licences and known vulnerabilities,scripts/audit/crates.sh)
	$(call step,Format,cargo fmt --check && cargo fmt --check --manifest-path fuzz/Cargo.toml && cargo fmt --check --manifest-path $(OWN_APP))
	$(call step,Lints: server,cargo clippy --all-targets -- -D warnings)
	$(call step,Lints: with the export of traces,cargo clippy --all-targets --features otlp -- -D warnings)
	$(call step,Lints: browser,cargo clippy --lib --no-default-features --features hydrate --target wasm32-unknown-unknown -- -D warnings)
	$(call step,Lints: the example of an own app,cargo clippy --manifest-path $(OWN_APP) --all-targets --locked --target-dir $(TARGET) -- -D warnings)
	$(call step,Documentation of the library,RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --lib && cargo test --doc)
	$(call step,Types of the browser tests,(cd end2end && node_modules/.bin/tsc --noEmit))
	$(call step,Build of the tests,cargo test --lib --bins --test it --no-run && sync)
	$(call step,Tests on SQLite and PostgreSQL (no secret in their output),scripts/leaks.sh scripts/with-postgres.sh cargo test --lib --bins --test it)
	$(call step,Export of traces to a collector,cargo test --features otlp --test otlp)
	$(call step,The example of an own app,cargo test --manifest-path $(OWN_APP) --locked --target-dir $(TARGET))
	$(call step,API tests generated from OpenAPI,scripts/schemathesis.sh)
	$(call step,API clients of the documents and generated ones,scripts/clients.sh)
	$(call step,Several servers,scripts/with-postgres.sh cargo test --test cluster -- --nocapture --test-threads=1)
	$(call step,Fault injection,cargo test --test faults -- --nocapture --test-threads=1)
	$(call step,Server and browser side,$(MAKE) --no-print-directory -j2 $(SITE) server)
	$(call step,Container,scripts/dist/container.sh)
	$(call step,Browser tests,(cd end2end && node_modules/.bin/playwright test))
	@printf '\n==> All checks passed\n'

security-scan: ## scan the release build with MDN's Observatory and Firefox; check licences and known vulnerabilities of the crates
	$(call step,Tools,scripts/tools.sh audit)
	$(call step,Release build,$(MAKE) --no-print-directory $(SITE) && $(SERVER) --release)
	$(call step,Headers and Content Security Policy,node scripts/audit/audit.js)
	$(call step,Crates,scripts/audit/crates.sh)
	@printf '\n==> The security scan passed\n'

lighthouse: ## run Lighthouse (mobile) on the release build, and time a click in the browser
	$(call step,Tools,scripts/tools.sh lighthouse)
	$(call step,Release build,$(MAKE) --no-print-directory $(SITE) && $(SERVER) --release)
	$(call step,Lighthouse,node scripts/lighthouse/lighthouse.js)
	$(call step,From a click to the page,(cd end2end && KEYFOB_BUILD=release node_modules/.bin/playwright test --project=speed --workers=1))

screenshots: ## take the pictures of the home page, and one of every page and state into target/screenshots
	$(call step,Tools,scripts/tools.sh test)
	$(call step,Server and browser side,$(MAKE) --no-print-directory -j2 $(SITE) server)
	$(call step,Pictures,(cd end2end && KEYFOB_SCREENSHOTS=../target/screenshots node_modules/.bin/playwright test layout pictures))

test-faults: ## inject faults for at most 15 minutes, and print a table of the outcome
	@scripts/tools.sh test
	@scripts/test-faults.sh

test-upgrade: ## run the oldest version and this one on one PostgreSQL database, under load; builds the oldest once
	@scripts/tools.sh test
	scripts/test-upgrade.sh

# SOAK_SECONDS=600 soaks for ten minutes, SOAK_PROGRAM=target/release/keyfob another build than that of `cargo test`.
soak: ## run mixed traffic with faults for an hour on both databases; print memory, files, p99 and errors, and say what grows
	@scripts/tools.sh test
	cargo test --test cluster soak::nothing_grows -- --ignored --nocapture

# MUTANTS='--shard 0/8' runs an eighth, MUTANTS='--file src/server/keys/leaks.rs' one file, MUTANTS='--iterate' what was not caught
# before. The results are in mutants.out.
mutants: ## change the code that decides in every way, and say which changes no test notices; takes hours
	$(call step,Tools,scripts/tools.sh mutants)
	CARGO_TARGET_DIR=$(TARGET)/mutants cargo mutants --no-shuffle $(MUTANTS)

# The random tests compare the parsers with a second implementation of the published rules; `make test` runs 256 cases of each.
# The fuzz targets are coverage-guided. FUZZ_SECONDS=600 runs each for ten minutes.
fuzz: ## test the parsers of keys, credentials and addresses with 200,000 random inputs each, then fuzz for a minute per target
	$(call step,Tools,scripts/tools.sh fuzz)
	$(call step,Random inputs,PROPTEST_CASES=200000 cargo test --lib -- server::auth::key_format server::auth::api_key_header server::auth::login::)
	$(call step,Fuzz targets,scripts/fuzz.sh)
	@printf '\n==> Found nothing\n'

# COMPARE=http://127.0.0.1:9000/path measures one more server, with the header COMPARE_HEADER='Name: value'. Both are passed in
# the environment, because a header may contain a key.
bench: ## print the performance table
	@scripts/tools.sh run
	@$(MAKE) --no-print-directory $(SITE)
	scripts/with-postgres.sh cargo bench --bench http --no-default-features --features ssr $(if $(COMPARE),-- --compare "$$COMPARE")

dist: ## build dist/: a tarball with one self-contained program, its manual, systemd unit, licences and bills of materials
	$(call step,Tools,scripts/tools.sh dist)
	$(call step,Browser side,$(MAKE) --no-print-directory $(SITE))
	$(call step,Server,scripts/dist/build.sh)
	$(call step,Tarball,scripts/dist/collect.sh)
	$(call step,Check from an empty folder,node scripts/dist/check.js)
	$(call step,Container,scripts/dist/container.sh dist/root/usr/local/bin/keyfob)
	@printf '\n==> dist/ is ready\n'

# Aliases for the former names.
torture: test-faults
audit: security-scan
