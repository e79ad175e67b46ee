# One verb a task; each sets up what it needs by itself. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests wait for Kafka more than they compute. Each process starts a broker of its own.
TEST_PROCESSES ?= 3
PEERS := .venv-peers
PEER_PACKAGES := evidently==0.7.23 nannyml==0.13.1 river==0.26.1 'pandas<3' numpy scipy rich pytest hypothesis fastavro

.DEFAULT_GOAL := help
.PHONY: help setup demo broker test test-fast coverage lint format types check bench bench-peers fuzz chaos
.PHONY: security-test registry-test sbom observability-test compose-test k8s-test k8s-scale up down clean constraints

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once, about a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 15)))' \
	  || { echo "Python 3.11 to 3.14 is needed; name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(READY)  ## Make .venv with all that the other verbs need

demo: $(READY)  ## Watch real flights stream through a real Kafka and a worker, exactly once
	@$(BIN)/prediction-worker demo

broker: $(READY)  ## Start a real Apache Kafka for development, until Ctrl-C
	@$(BIN)/prediction-worker broker

test: $(READY)  ## Every test, the delivery tests on a real Apache Kafka
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-fast: $(READY)  ## Only the tests that need no broker (seconds)
	@$(BIN)/python -m pytest -m "not kafka" -q

coverage: $(READY)  ## Line and branch coverage of the tests that need no broker
	@$(BIN)/python -m pytest -m "not kafka" -q --cov --cov-report=term-missing:skip-covered

lint: $(READY)  ## Style and common mistakes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(READY)  ## Apply the style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(READY)  ## Static types, strict
	@$(BIN)/mypy

check: lint types test  ## What CI runs

bench: $(READY)  ## Throughput against pass-through and hand-written loops (more: python -m bench --help)
	@$(BIN)/python -m bench throughput

bench-peers:  ## Drift beside Evidently, NannyML and river, in an environment of their own (an hour)
	@$(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check $(PEER_PACKAGES)
	@$(PEERS)/bin/python -m pytest -c /dev/null --rootdir . --noconftest -p no:cacheprovider -q tests/unit/drift/test_evidently.py
	@$(PEERS)/bin/python -m bench.drift_peers

fuzz: $(READY)  ## Mutated records: two million through both readers and fastavro, 100,000 through the whole worker
	@$(BIN)/python -m tests.fuzz.decode --records 2000000
	@$(BIN)/python -m tests.fuzz.worker --records 100000

security-test: $(READY)  ## All that is tested on a secured Kafka: every ACL, every way to authenticate, tokens that run out
	@$(BIN)/python -m pytest tests/integration/security -m "long or not long"

registry-test: $(READY)  ## A real Apicurio (109 MB, once) between the official Confluent client and a worker
	@test -x .venv-registry/bin/python || { $(PYTHON) -m venv .venv-registry \
	  && .venv-registry/bin/python -m pip install --quiet --disable-pip-version-check 'confluent-kafka[avro,schemaregistry]==2.16.0'; }
	@$(BIN)/python -m pytest tests/integration/registry -m long -s

sbom: $(READY)  ## What the program is made of, with the extras of the image, as CycloneDX: sbom.json
	@test -x .venv-sbom/bin/python || { $(PYTHON) -m venv .venv-sbom && .venv-sbom/bin/python -m pip install --quiet \
	  --disable-pip-version-check --constraint constraints.txt '.[otel,plan]' \
	  && $(PYTHON) -m venv .venv-sbom/tool && .venv-sbom/tool/bin/python -m pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7,<8'; }
	@.venv-sbom/tool/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file sbom.json .venv-sbom/bin/python
	@echo "sbom.json: $$(grep -c '"bom-ref"' sbom.json) components"

chaos: $(READY)  ## The long campaign: kill -9, pauses and rolling restarts, checked record by record
	@$(BIN)/python -m pytest tests/chaos --chaos-long -s

observability-test: $(READY)  ## Every query and alert on a real Prometheus; needs prometheus, promtool and npm
	@$(BIN)/python -m pytest tests/observability --observability

compose-test: $(READY)  ## Docker Compose on a Docker Engine of its own; needs root, docker.io, iptables, debootstrap and Go
	@$(BIN)/python -m tests.deploy.compose.images
	@unshare --net $(BIN)/python -m pytest tests/deploy/compose --compose

k8s-test: $(READY)  ## The manifests on a real Kubernetes: kind, or a node of its own (as root; the first time 20 minutes)
	@$(BIN)/python -m pytest tests/deploy/kubernetes/test_kubernetes.py --kubernetes

k8s-scale: $(READY)  ## Autoscalers on it, HPA and KEDA, over a step of load (an hour)
	@$(BIN)/python -m pytest tests/deploy/kubernetes/test_autoscaling.py --kubernetes

up:  ## The whole system with Docker Compose
	docker compose up --build --detach

down:  ## Stop it and remove its volumes
	docker compose down --volumes

constraints: $(READY)  ## Write the versions of this environment to constraints.txt
	@$(BIN)/python -m pip freeze --exclude-editable | grep -v '@' > constraints.txt

clean:  ## Remove .venv and caches
	rm -rf $(VENV) $(PEERS) .venv-registry .venv-sbom sbom.json .mypy_cache .ruff_cache .pytest_cache .hypothesis
