# Everything that a change must pass. `make ci` is what runs before a merge.
GO          ?= go
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2 # 2026.2.2

.PHONY: all test race lint fmt vet demo bench fuzz ci clean

all: lint test

test:            ## the README's own command
	$(GO) test ./...

race:            ## the same under the race detector, in random order
	GORACE=atexit_sleep_ms=0 $(GO) test -race -short -shuffle=on ./...

fmt:             ## fails when a file is not gofmt'ed, and names it
	@out="$$(gofmt -l .)"; if [ -n "$$out" ]; then echo "gofmt -w these:"; echo "$$out"; exit 1; fi

vet:             ## every platform that the library promises to build on
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...

lint: fmt vet
	$(GO) run $(STATICCHECK) ./...

demo:            ## the main job: four hosts, three revisions, one rollback
	$(GO) run ./examples/onprem

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

ci:
	bash .ci/run

clean:
	rm -rf bin
