# cargo-leptos takes wasm-bindgen, wasm-opt and tailwindcss from PATH; scripts/tools.sh puts them there.
# It is called by its own name because `cargo leptos` prefers a version in ~/.cargo/bin.
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/style/node_modules/.bin:$(PATH)

BUILD := cargo-leptos build --release --precompress
# cargo-leptos makes the browser's files anew each time; with nothing changed that would be half a minute of waiting.
SITE := target/site/.built
SOURCES := $(shell find src migrations public style/main.css style/package-lock.json Cargo.toml Cargo.lock build.rs .cargo -type f)

# $(call step,what it is,command): says what begins, and what failed. The command holds no comma.
define step
@printf '\n==> %s\n' '$(1)'; $(2) || { code=$$?; printf '\n==> Failed: %s\n' '$(1)' >&2; exit $$code; }
endef

.PHONY: help run dev test fuzz torture bench audit dist
.DEFAULT_GOAL := help

help: ## lists these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s%s\n", $$1, $$2 }' Makefile

run: ## installs what is missing, builds for release, serves http://localhost:8000 on an SQLite file
	@scripts/tools.sh build
	@$(MAKE) --no-print-directory $(SITE)
	@./target/release/keyfob serve

$(SITE): $(SOURCES)
	$(BUILD)
	@touch $@

dev: ## rebuilds and reloads on each change
	@scripts/tools.sh build
	@rm -f $(SITE)
	cargo-leptos watch

test: ## installs what is missing, then every check: format, lints, tests on SQLite and PostgreSQL, browser tests
	$(call step,Tools,scripts/tools.sh test)
	$(call step,Format,cargo fmt --check && cargo fmt --check --manifest-path fuzz/Cargo.toml)
	$(call step,Lints: server,cargo clippy --all-targets -- -D warnings)
	$(call step,Lints: browser,cargo clippy --lib --no-default-features --features hydrate --target wasm32-unknown-unknown -- -D warnings)
	$(call step,Types of the browser tests,(cd end2end && node_modules/.bin/tsc --noEmit))
	$(call step,Tests on SQLite and PostgreSQL; and no secret in what they write,scripts/leaks.sh scripts/with-postgres.sh cargo test --lib --bins --test it)
	$(call step,The API by its description,scripts/schemathesis.sh)
	$(call step,Many machines,scripts/with-postgres.sh cargo test --test cluster -- --nocapture --test-threads=1)
	$(call step,Faults,cargo test --test torture -- --nocapture --test-threads=1)
	$(call step,Release build,$(MAKE) --no-print-directory $(SITE))
	$(call step,Browser tests,(cd end2end && node_modules/.bin/playwright test))
	@printf '\n==> All checks passed\n'

audit: ## scans the headers with MDN's Observatory and Firefox, and checks licences, bans and known weaknesses of the crates
	$(call step,Tools,scripts/tools.sh audit)
	$(call step,Release build,$(MAKE) --no-print-directory $(SITE))
	$(call step,Headers and policy from outside,node scripts/audit/audit.js)
	$(call step,Crates,scripts/audit/crates.sh)
	@printf '\n==> The audit passed\n'

torture: ## kills it, stops it, fills its disk and holds it up, for at most 15 minutes, and prints a table of the outcome
	@scripts/tools.sh test
	@scripts/torture.sh

# A case is random input beside a reading of the published rules by other means; `make test` tries 256 of each. A fuzz target
# breeds its inputs from those that reached something new. FUZZ_SECONDS=600 gives each ten minutes.
fuzz: ## tries what reads keys, credentials and addresses with 200,000 random inputs each, then fuzzes keys and credentials for a minute each
	$(call step,Tools,scripts/tools.sh fuzz)
	$(call step,Random inputs,PROPTEST_CASES=200000 cargo test --lib -- server::auth::secrets server::auth::credentials server::accounts)
	$(call step,Fuzz targets,scripts/fuzz.sh)
	@printf '\n==> Nothing was found\n'

# COMPARE=http://127.0.0.1:9000/path measures one more server, COMPARE_HEADER='Name: value' is what it is sent; both reach
# the program by its environment, for a header may hold a key.
bench: ## prints the performance table
	@scripts/tools.sh build
	@$(MAKE) --no-print-directory $(SITE)
	scripts/with-postgres.sh cargo bench --bench http --no-default-features --features ssr $(if $(COMPARE),-- --compare "$$COMPARE")

dist: ## builds dist/: one program with the browser's files in it, what it is made of, and checksums
	$(call step,Tools,scripts/tools.sh dist)
	$(call step,Files of the browser,$(BUILD) --frontend-only)
	$(call step,Program,KEYFOB_EMBED_SITE=target/site cargo-leptos build --release --server-only)
	$(call step,Bill of materials and checksums,scripts/dist/collect.sh)
	$(call step,Check from an empty folder,node scripts/dist/check.js)
	@printf '\n==> dist/ is ready\n'
