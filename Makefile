# Two commands set everything up on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BENCH ?= .venv-bench
BIN := $(VENV)/bin

.PHONY: demo test check bench fuzz samples clean

demo: $(VENV)/.demo  ## explain a real chest CT: a window if there is a display, figures always
	$(BIN)/voxcam demo

test: $(VENV)/.test  ## every test, real windows on a virtual screen among them, with coverage
	scripts/on-a-screen $(BIN)/python -m pytest --cov --cov-report=term:skip-covered

check: $(VENV)/.test  ## style, types, import contracts, manifest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate voxcam

bench: $(BENCH)/.bench  ## the engine beside MONAI, pytorch-grad-cam, torch-cam and captum, in an environment of its own
	$(BENCH)/bin/python -m benchmarks.cam_engines

fuzz: $(VENV)/.test  ## 20,000 damaged DICOM files and 5,000 damaged NIfTI files, counts printed
	$(BIN)/python tests/io/fuzz.py 20000
	$(BIN)/python tests/io/volume_files/fuzz.py 5000 1

samples: $(VENV)/.test  ## make sample_scans/ again from the packages it came from
	$(BIN)/python sample_scans/make.py

clean:
	rm -rf $(VENV) $(BENCH)

$(VENV)/.demo: pyproject.toml constraints.txt
	scripts/set-up $(PYTHON) $(VENV) all
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt
	scripts/set-up $(PYTHON) $(VENV) all,dev
	touch $@ $(VENV)/.demo

$(BENCH)/.bench: pyproject.toml constraints-bench.txt
	scripts/set-up-bench $(PYTHON) $(BENCH)
	touch $@
