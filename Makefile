# One-line recipes; what they do is in scripts/, which say themselves what they do and why.

.PHONY: help demo test drill bench lint fix docs setup

help: ## list these targets
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: ## build, run a network of four nodes, replay a day of freight (DATA=file: your own)
	@scripts/demo

test: ## check everything that a change must pass
	@scripts/test

drill: ## validators' keys in two places and set back in time, many rounds (ROUNDS=25)
	@scripts/drill $(ROUNDS)

bench: ## measure commits per second and latency on this machine
	@scripts/bench

lint: ## format check and clippy only
	@scripts/test format lint

fix: ## format the code in place
	@scripts/fix

docs: ## build the API documentation and say where it is
	@scripts/docs

setup: ## install what building and testing need
	@scripts/setup test
