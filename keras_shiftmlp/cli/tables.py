"""`list`, `info` and `weights`: what there is. They start without Keras."""

import fnmatch
from typing import Annotated

from cyclopts import Parameter

from keras_shiftmlp.cli import output
from keras_shiftmlp.cli.arguments import Model, full_name, registry
from keras_shiftmlp.cli.output import UsageError
from keras_shiftmlp.cli.program import LOOK_UP, PROGRAM, command

AsJson = Annotated[bool, Parameter(name="--json")]


@command("list", example="'s2mlp*'", group=LOOK_UP)
def list_models(pattern: str = "*", /, *, json: AsJson = False) -> None:
    """List the models with their parameters, multiply-adds and ImageNet accuracy.

    Args:
        pattern: Names of models, with `*` and `?` as in a shell.
        json: Print JSON.
    """
    rows = [_size(name) for name in _matching(pattern)]
    if json:
        output.show_json(rows)
    else:
        output.show_table(rows)


def _matching(pattern):
    names = [x for x in registry()["models"] if fnmatch.fnmatch(x.lower(), pattern.lower())]
    if not names:
        raise UsageError(f"No model matches '{pattern}'. `{PROGRAM} list` shows all.")
    return names


def _size(name):
    facts = registry()["models"][name]
    return {
        "model": name,
        "pixels": facts["input"],
        "size": "any" if registry()["families"][facts["family"]]["any_size"] else "fixed",
        "parameters": facts["params"],
        "GMACs": round(facts["macs"] / 1e9, 3),
        "paper_top1": None if facts["paper_top1"] == "–" else facts["paper_top1"],
        "weights": facts["weights"],
    }


@command("info", example="S2MLPv2Small", group=LOOK_UP)
def info(model: Model, /, *, json: AsJson = False) -> None:
    """Show what is known of a model: its size, its paper, its public checkpoints.

    Args:
        model: A size such as S2MLPv2Small, or a family such as S2MLPv2.
        json: Print JSON.
    """
    from keras_shiftmlp.checkpoints.manifest import list_weights

    name, models = full_name(model), registry()["models"]
    family = models[name]["family"] if name in models else name
    facts = registry()["families"][family]
    sizes = [name] if name in models else [x for x in models if models[x]["family"] == family]
    record = {
        "model": name,
        "idea": facts["idea"],
        "paper": facts["paper"],
        "image size": "any" if facts["any_size"] else "fixed",
        "page": f"docs/{facts['page']}.md",
    }
    checkpoints = [row for size in sizes for row in list_weights(size)]
    rows = [_size(size) for size in sizes]
    if json:
        output.show_json({**record, "sizes": rows, "weights": checkpoints})
        return
    output.show_table([{"": key, " ": value} for key, value in record.items()], head=False)
    output.show_separator()
    output.show_table(rows)
    output.show_separator()
    _show_weights(checkpoints)


@command("weights", example="MixerB16", group=LOOK_UP)
def weights(model: Model | None = None, /, *, json: AsJson = False) -> None:
    """List the public checkpoints with their licences.

    A terminal shows the main columns. A pipe and `--json` have all: also the source of the
    accuracy, the host, and what verifies the file.

    Args:
        model: One model only.
        json: Print JSON.
    """
    from keras_shiftmlp.checkpoints.manifest import list_weights

    rows = list_weights(None if model is None else full_name(model))
    if json:
        output.show_json(rows)
    else:
        _show_weights(rows)


def _show_weights(rows):
    from keras_shiftmlp.checkpoints.manifest import COLUMNS

    if rows:
        short = ["model", "tag", "dataset", "classes", "top1", "license"]
        output.show_table(rows, COLUMNS, short)
    else:
        output.show_note("There is no public checkpoint. `train` makes one from your images.")
