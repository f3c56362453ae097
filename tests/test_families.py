"""Each family has everything that CONTRIBUTING.md lists; the error names what is missing."""

import json

import pytest
from cases import HERE, MODEL_CASES, once
from families import GOLDEN

import keras_shiftmlp
from keras_shiftmlp.benchmark.report import page_of
from keras_shiftmlp.checkpoints import manifest
from keras_shiftmlp.checkpoints.sources import sources
from keras_shiftmlp.models._constructor import CONSTRUCTORS
from keras_shiftmlp.training import FAMILY_RECIPES

pytestmark = once
# gMixer is timm's own: no paper, no recipe, no figures.
WITHOUT_PAPER = {"GMixer"}
FAMILIES = [name for name, constructor in CONSTRUCTORS.items() if not constructor.is_size]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_complete(family):
    page = HERE.parent / "docs" / f"{page_of(family)}.md"
    cases = [case.name for case in MODEL_CASES.values() if case.constructor == family]
    frozen = [name for name in cases if (HERE / "frozen" / f"{name}.keras").exists()]
    paths, work = (
        json.loads((HERE / f"{name}.json").read_text()) for name in ("variable_paths", "work")
    )
    for what, found in {
        "a tiny network in tests/families": cases,
        "reference vectors, named in tests/families, in tests/golden_data": [
            name
            for name, golden in GOLDEN.items()
            if golden.constructor == family and (HERE / "golden_data" / f"{name}.npz").exists()
        ],
        "frozen files: run `make generate`": frozen,
        "variable paths: run `make generate`": set(cases) <= set(paths),
        "counts of a step: run `make generate`": set(cases)
        <= set(work["jax"]) & set(work["torch"]),
        "an ImageNet recipe in training/recipes": family in FAMILY_RECIPES,
        f"a page docs/{page.name}": page.exists(),
        "a named size": [x for x in CONSTRUCTORS.values() if x.family == family and x.is_size],
        "a paper's figures beside CONFIGS": [
            x for x in CONSTRUCTORS.values() if x.family == family and x.paper
        ],
    }.items():
        if family in WITHOUT_PAPER and ("paper" in what or "recipe" in what):
            continue
        assert found, f"{family} lacks {what}"


def test_every_published_checkpoint_has_a_model_and_a_source():
    families = {source.name: source.family for source in sources()}
    for entry in manifest.entries():
        constructor = CONSTRUCTORS[entry["model"]]
        if entry["source"] is not None:
            assert families[entry["source"]] == constructor.family
    assert {source.family for source in sources()} <= set(FAMILIES)


def test_names_are_those_of_the_modules():
    for name, constructor in CONSTRUCTORS.items():
        assert getattr(keras_shiftmlp, name) is constructor
        assert constructor.__name__ == name
