# make demo       what nnspec does, on ResNet-50; installs the light core only
# make test       everything: all tests, lint, format, types; installs the frameworks
# make test-fast  the tests that need no framework and no browser, but for the slow ones
# make bench      start-up times and memory of the commands, against their goals and other tools
# make bench-cost costs by nnspec and by other tools, side by side; installs those
# make bench-placement DATA=folder  a public benchmark of placement, in its own format
# make bench-scale  CPU time and memory of placing long chains, and on large clusters
# make clean      removes what the targets above have made

PYTHON ?= python3
VENV := .venv
DEMO_VENV := .venv-demo
BIN := $(VENV)/bin
DEMO_BIN := $(DEMO_VENV)/bin
WORKERS ?= 2
SPEC := specs/vision/resnet.nns:ResNet50
PIP := -m pip --disable-pip-version-check --quiet

# More threads than cores make the frameworks slower, and each worker has its own.
export OMP_NUM_THREADS ?= 1
export TF_CPP_MIN_LOG_LEVEL ?= 3
# The tests start hundreds of processes, which are not to compile the package each.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-fast bench bench-cost bench-tools bench-placement bench-scale lint clean chromium

demo: $(DEMO_VENV)/.installed
	@printf '\n== Is it a correct network?  nnspec check $(SPEC)\n\n'
	@$(DEMO_BIN)/nnspec check $(SPEC)
	@printf '\n== What is in it?  nnspec summary --depth 1 $(SPEC) B=1\n\n'
	@$(DEMO_BIN)/nnspec summary --depth 1 $(SPEC) B=1
	@printf '\n== What does it cost for a batch of one?  nnspec cost $(SPEC) B=1\n\n'
	@$(DEMO_BIN)/nnspec cost $(SPEC) B=1
	@printf '\n== As PyTorch.  nnspec compile --target torch $(SPEC)\n\n'
	@$(DEMO_BIN)/nnspec compile --target torch $(SPEC)
	@printf '\n== As Keras 3.  nnspec compile --target keras $(SPEC)\n\n'
	@$(DEMO_BIN)/nnspec compile --target keras $(SPEC)

test: $(VENV)/.installed chromium lint
	# In two runs, since the workers of either keep the frameworks in memory.
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/contracts
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --ignore=tests/contracts

test-fast: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not framework and not slow and not browser"

# Pages are tested in a browser. Nothing is done where there is one.
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable
APT := apt-get -qq update && apt-get -qq install -y chromium fonts-liberation
chromium:
	@for each in $(BROWSERS); do command -v $$each >/dev/null && exit 0; done; \
	echo 'Installing Chromium, in which the tests look at pages (once) ...'; \
	if [ "$$(id -u)" = 0 ]; then $(APT); else sudo sh -c '$(APT)'; fi && exit 0; \
	echo 'Chromium could not be installed. The tests of pages need one of these: $(BROWSERS)'; \
	exit 1

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

bench: $(VENV)/.installed bench-tools
	$(BIN)/python benchmarks/cold.py

bench-cost: $(VENV)/.installed bench-tools
	$(BIN)/python -m benchmarks.cost

# Without their requirements, which would bring another build of torch.
bench-tools: $(VENV)/.installed
	$(BIN)/python $(PIP) install --no-deps torchinfo==1.8.0 ptflops==0.7.5 \
		fvcore==0.1.5.post20221221 iopath==0.1.10 portalocker yacs tabulate termcolor

bench-placement: $(VENV)/.installed
	$(BIN)/python -m benchmarks.placement $(DATA)

bench-scale: $(VENV)/.installed
	$(BIN)/python -m benchmarks.placement_scale

$(DEMO_VENV)/.installed: pyproject.toml
	@echo 'Setting up the light core in $(DEMO_VENV) (once) ...'
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_BIN)/python $(PIP) install --editable .
	touch $@

# torch is pinned, so that no other requirement on it can bring in a build with gigabytes
# of accelerator libraries. torchvision and timm would replace it, so they come without
# their requirements. What is used of all this is compiled when it is first imported.
$(VENV)/.installed: pyproject.toml
	@echo 'Setting up everything in $(VENV) (once) ...'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install --no-compile torch==2.13.0 'tensorflow==2.21.*' 'keras==3.15.*' \
		--editable '.[keras,weights,placement,dev]'
	$(BIN)/python $(PIP) install --no-compile --no-deps torchvision==0.28.0 timm
	touch $@

clean:
	rm -rf $(VENV) $(DEMO_VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find nnspec tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +
