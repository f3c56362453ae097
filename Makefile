# `make demo`, `make test` and `make docs` each have their own environment.
PYTHON ?= python3
BACKENDS ?= tensorflow jax torch numpy openvino
DEMO_ARGS ?=
CHROMIUM ?= chromium

.PHONY: demo test lint generate pictures docs browser notebooks clean

demo: .venv-demo/done
	.venv-demo/bin/python examples/quickstart.py $(DEMO_ARGS)

test: .venv-test/done lint
	.venv-test/bin/python tests/run_backends.py $(BACKENDS)

lint: .venv-test/done
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/python tools/generate.py --check
	.venv-test/bin/python tools/check_types.py

generate: .venv-test/done
	.venv-test/bin/python tools/generate.py

pictures: .venv-test/done
	KERAS_BACKEND=torch .venv-test/bin/python tools/pictures.py

docs: .venv-docs/done build/notebooks/done
	KERAS_BACKEND=tensorflow .venv-docs/bin/python tools/try_it.py build/try_it
	.venv-docs/bin/mkdocs build --strict

browser: docs
	KERAS_BACKEND=tensorflow CHROMIUM=$(CHROMIUM) .venv-docs/bin/python -m pytest -o addopts= \
	    tests/browser

build/notebooks/done: .venv-docs/done tools/run_notebooks.py $(wildcard notebooks/*.py)
	KERAS_BACKEND=tensorflow .venv-docs/bin/python tools/run_notebooks.py build/notebooks
	touch $@

notebooks:
	rm -f build/notebooks/done
	$(MAKE) build/notebooks/done

# Installed with their dependencies except `tensorflow`, which would overwrite tensorflow-cpu.
NO_DEPS = tensorflow-hub tf-keras keras-cv keras-hub tensorflow-text kagglehub kagglesdk regex \
    sentencepiece tokenizers
EXTRA_demo = demo
EXTRA_docs = docs
EXTRA_test = dev
.venv-demo/done .venv-docs/done .venv-test/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --constraint constraints.txt \
	    --editable ".[$(EXTRA_$(patsubst .venv-%/done,%,$@))]"
	$(if $(findstring test,$@),$(@D)/bin/python -m pip install --quiet --no-deps \
	    --constraint constraints.txt $(NO_DEPS))
	touch $@

clean:
	rm -rf .venv-demo .venv-docs .venv-test build outputs
