# What a developer does with pgberth. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
MATRIX := 13 15 17 18
FUZZTIME := 60s

.PHONY: help build demo demo-clean test servers test-matrix soak bench bench-quick bench-archives bench-drills bench-wire lint clean
.DEFAULT_GOAL := help

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

build: ## build bin/pgberth, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/pgberth ./cmd/pgberth

demo: build ## migrate a sample database from this host into a container
	testdata/demo/demo.sh

demo-clean: ## remove everything that the demo made
	testdata/demo/demo.sh clean

test: ## check the code and run all tests, on real servers of PostgreSQL 15 and 17
	@$(MAKE) --no-print-directory --jobs=2 lint servers
	PGBERTH_TEST_DISALLOW_SKIP=1 go test -vet=off -ldflags=-w -p 2 -timeout 30m ./... # vet has run

servers: # what the tests stand on; provided while the code is checked, since it waits a lot
	testdata/setup.sh s3 host ssh chromium 15 17

test-matrix: ## run all tests, those of versions with sources and targets of PostgreSQL 13, 15, 17 and 18
	testdata/setup.sh s3 host ssh chromium $(MATRIX)
	PGBERTH_TEST_DISALLOW_SKIP=1 PGBERTH_TEST_MATRIX=1 PGBERTH_TEST_MAJORS='$(MATRIX)' go test -p 1 -timeout 60m ./...

soak: ## run the long forms of the tests: kills at every step, a thousand damaged archives; then fuzzing
	testdata/setup.sh s3 host ssh podman chromium 15 17
	PGBERTH_TEST_DISALLOW_SKIP=1 PGBERTH_TEST_SOAK=1 go test -count 1 -p 1 -timeout 120m ./migrate ./restore ./dump ./compare ./nightly ./repository ./backup ./containerpg ./cmd/pgberth ./archive ./drill
	for target in $$(grep -ho 'func Fuzz[A-Za-z]*' archive/*_test.go | cut -d' ' -f2); do \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x ./archive; done

bench: ## measure pgberth and its peers in turn: migrations of a 2 GB database and others
	testdata/setup.sh host 17
	testdata/peers/build.sh
	PGBERTH_TEST_DISALLOW_SKIP=1 go test -v -tags bench -count 1 -timeout 90m -run TestBench ./bench

bench-quick: ## the same once, on small databases: does everything run, and about how
	testdata/setup.sh host 17
	testdata/peers/build.sh
	PGBERTH_TEST_DISALLOW_SKIP=1 PGBERTH_BENCH_SCALE=6 PGBERTH_BENCH_ROUNDS=1 go test -v -tags bench -count 1 -timeout 20m -run TestBench ./bench

bench-archives: ## measure dump and restore beside pg_dump and pg_restore, as ratios of time, size and memory
	testdata/setup.sh host 17
	PGBERTH_TEST_DISALLOW_SKIP=1 go test -v -tags bench -count 1 -timeout 60m -run TestArchives ./bench

bench-drills: ## measure a drill of a 2 GB backup beside the bare restore of it
	testdata/setup.sh host 15 17
	PGBERTH_TEST_DISALLOW_SKIP=1 go test -v -tags bench -count 1 -timeout 60m -run TestDrill ./bench

bench-wire: ## measure rows through docker exec, and over a slow line to an engine by ssh
	testdata/setup.sh host ssh 15 17
	PGBERTH_TEST_DISALLOW_SKIP=1 go test -v -tags bench -count 1 -timeout 60m -run 'TestSlowWire|TestFastWire' ./bench

lint: ## check the code: gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [[ -n $$unformatted ]]; then echo "gofmt -w $$unformatted"; exit 1; fi
	go vet -tags bench ./...
	go run $(STATICCHECK) -tags bench ./...

clean: ## remove what was built
	rm -rf bin
