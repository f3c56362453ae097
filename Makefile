# `make demo` and `make test` each have their own environment.
PYTHON ?= python3
BACKENDS ?= tensorflow jax torch numpy openvino
DEMO_ARGS ?=

.PHONY: demo test lint generate clean

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

# Installed with their dependencies except `tensorflow`, which would overwrite tensorflow-cpu.
NO_DEPS = tensorflow-hub tf-keras keras-cv keras-hub tensorflow-text kagglehub kagglesdk regex \
    sentencepiece tokenizers
.venv-demo/done .venv-test/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --constraint constraints.txt \
	    --editable ".[$(if $(findstring test,$@),dev,demo)]"
	$(if $(findstring test,$@),$(@D)/bin/python -m pip install --quiet --no-deps \
	    --constraint constraints.txt $(NO_DEPS))
	touch $@

clean:
	rm -rf .venv-demo .venv-test outputs
