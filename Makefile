# Everything a developer runs; `make` alone lists it. Each target does its own set-up (scripts/setup.sh).
SHELL := bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help run build test chaos lint plugins examples test-clients bench bench-isolation bench-stages instructions clean

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where cargo puts what it builds is what the rest of this file counts on.
unexport CARGO_BUILD_TARGET
SETUP := . scripts/setup.sh &&

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: build ## Start the gateway with config/config.yml on http://127.0.0.1:4000
	@echo "run: starting the gateway; end it with Ctrl-C"
	@exec "$(TARGET)/release/ai-api" --config config/config.yml --host 127.0.0.1 --port 4000

build: plugins ## The release binary, at target/release/ai-api
	@echo "build: the release binary (the first time takes minutes)"
	@$(SETUP) cargo build --release --locked --package ai-api
	@ls -l "$(TARGET)/release/ai-api" | awk '{ printf "build: %.1f MB in $(TARGET)/release/ai-api\n", $$5 / 1048576 }'

plugins: ## The provider plugins that the gateway embeds, as WebAssembly components
	@$(SETUP) scripts/build-plugins.sh

examples: ## The example plugins in Rust, Python, JavaScript and C, at target/examples
	@$(SETUP) scripts/build-examples.sh

# The end-to-end tests start target/debug/ai-api, which `cargo test` alone doesn't build.
test: plugins examples ## Every test in Rust: gateway, plugins, and end to end through the real binary
	@echo "test: building the gateway"
	@$(SETUP) cargo build --locked
	@echo "test: gateway and end to end"
	@. scripts/setup.sh test && cargo test --locked --package ai-api --package ai-api-e2e --package ai-api-bench-load --package ai-api-bench-stages
	@echo "test: the database's own queries, on Postgres"
	@$(SETUP) scripts/with-postgres.sh cargo test --locked --package ai-api --lib -- store::tests
	@echo "test: plugins, natively"
	@$(SETUP) cargo test --locked --features ai-api-plugin-sdk/testing $(foreach package,sdk openai anthropic gemini echo,--package ai-api-plugin-$(package))
	@$(SETUP) cargo test --locked --manifest-path plugins/examples/rust/Cargo.toml --target-dir "$(TARGET)/examples/rust-native"

chaos: plugins ## Providers that die, return, stall and fail under load, for longer than `make test` does; CALLS=, SEED=
	@$(SETUP) cargo build --locked
	@$(SETUP) AI_API_CHAOS_CALLS="$(or $(CALLS),5000)" AI_API_CHAOS_SEED="$(or $(SEED),5)" \
	cargo test --locked --package ai-api-e2e -- chaos --nocapture

test-clients: ## OpenAI's own SDKs (Python, Node), the README's commands and the plugin guide's against the binary
	@. scripts/setup.sh clients && \
	if [ -z "$$AI_API_BIN" ]; then $(MAKE) plugins && cargo build --locked; fi && \
	python3 tests/clients/run.py

bench: build ## What the gateway costs beside nginx and direct calls; BENCH="--quick" passes options
	@scripts/bench.sh $(BENCH)

bench-isolation: build ## What a hostile guest costs the calls beside it
	@$(SETUP) AI_API_BIN="$(abspath $(TARGET))/release/ai-api" cargo bench --locked --package ai-api-e2e --bench isolation

bench-stages: plugins ## How long each stage of a call takes, and what the sandbox costs
	@echo "bench-stages: building (the first time takes minutes)"
	@$(SETUP) cargo build --release --locked --package ai-api-bench-native
	@$(SETUP) cargo build --release --locked --package ai-api-bench-stages
	@AI_API_BENCH_NATIVE="$(abspath $(TARGET))/release/bench-native" "$(TARGET)/release/bench-stages" --bench

instructions: plugins ## Whether a stage takes more instructions than it did; ACCEPT=1 takes it as it is now
	@echo "instructions: building and counting"
	@scripts/instructions.sh $(if $(ACCEPT),--accept)

# clippy and the docs compile the gateway too, which embeds the plugins.
lint: ## Formatting, clippy, documentation, shell scripts, licences
	@echo "lint: formatting"
	@$(SETUP) cargo fmt --all --check
	@scripts/lint-scripts.sh
	@$(MAKE) plugins
	@echo "lint: clippy"
	@$(SETUP) cargo clippy --locked --workspace --all-targets -- -D warnings
	@echo "lint: documentation"
	@$(SETUP) RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	@$(SETUP) if cargo deny --version >/dev/null 2>&1; then cargo deny --all-features check; \
	else echo "lint: licences and advisories not checked, cargo-deny is not installed (cargo install cargo-deny)"; fi

clean: ## Remove what was built
	@$(SETUP) cargo clean
	@rm -rf tests/clients/node/node_modules plugins/examples/javascript/node_modules plugins/examples/*/build
