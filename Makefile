# `make demo`, `make test` and `make docs` each have their own environment.
PYTHON ?= python3
BACKENDS ?= tensorflow jax torch numpy openvino
DEMO_ARGS ?=
CHROMIUM ?= chromium

.PHONY: demo test lint generate pictures docs browser notebooks clean mutate wheel test-python int4 \
    nnx

demo: .venv-demo/done
	.venv-demo/bin/python examples/quickstart.py $(DEMO_ARGS)

# `make test KERAS=nightly` puts the newest pre-release of Keras before that of the environment.
ifeq ($(KERAS),nightly)
test: .venv-test/done
	rm -rf build/keras-nightly
	.venv-test/bin/python -m pip install --quiet --pre --no-deps --target build/keras-nightly \
	    keras-nightly
	PYTHONPATH=$(CURDIR)/build/keras-nightly .venv-test/bin/python tests/run_backends.py $(BACKENDS)
else
test: .venv-test/done lint
	.venv-test/bin/python tests/run_backends.py $(BACKENDS)
endif

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

# The lanes below are outside `make test`. Their times were measured on two cores under other load;
# a new environment takes about 90 s more.
PYTEST = -m pytest -q -o addopts= -p no:cacheprovider

# Faults in a part of the package, 1 to 2 minutes each: make mutate MODULE=training
# MUTATE_ARGS="--number 20 --seed 1" draws others.
mutate: .venv-test/done .venv-mutate/done
	.venv-mutate/bin/python tools/mutate.py $(MODULE) $(MUTATE_ARGS)

.venv-mutate/done: constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --constraint constraints.txt cosmic-ray
	touch $@

# The wheel with JAX, without TensorFlow and PyTorch, 7 minutes.
wheel:
	rm -rf build/wheel
	$(PYTHON) -m venv build/wheel/env
	build/wheel/env/bin/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	build/wheel/env/bin/python -m pip install --quiet --constraint constraints.txt \
	    "keras_shiftmlp[jax] @ file://$$(echo $(CURDIR)/build/wheel/*.whl)" \
	    pillow basedpyright pytest
	cd build/wheel && KERAS_BACKEND=jax env/bin/python $(PYTEST) --noconftest \
	    $(CURDIR)/tests/lanes/test_wheel.py

# Another version of Python, 1 minute: make test-python PYTHON=python3.13
test-python: .venv-$(notdir $(PYTHON))/done
	KERAS_BACKEND=numpy .venv-$(notdir $(PYTHON))/bin/python $(PYTEST) tests/test_golden.py \
	    tests/test_frozen_files.py tests/test_bad_calls.py

# Weights of four bits, 2 minutes.
int4: .venv-test/done
	for backend in numpy torch; do \
	    KERAS_BACKEND=$$backend .venv-test/bin/python $(PYTEST) tests/lanes/test_int4.py || exit 1; \
	done

# Keras's NNX mode on JAX, 7 minutes.
nnx: .venv-nnx/done
	KERAS_BACKEND=jax KERAS_NNX_ENABLED=true XLA_FLAGS=--xla_backend_optimization_level=0 \
	    .venv-nnx/bin/python $(PYTEST) tests/lanes/test_nnx.py

.venv-%/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[jax,train]" \
	    $(if $(findstring nnx,$@),flax) pytest
	touch $@

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
	rm -rf .venv-demo .venv-docs .venv-mutate .venv-nnx .venv-python* .venv-test build outputs
