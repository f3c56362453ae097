"""`keras-shiftmlp`: what the package can tell from the command line."""

import argparse
import json
from importlib import resources


def main(arguments: list[str] | None = None) -> None:
    """Runs `keras-shiftmlp` with `arguments`, those of the command line by default."""
    parser = argparse.ArgumentParser(prog="keras-shiftmlp", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    models = commands.add_parser(
        "models", help="table of parameters and multiply-adds beside the papers' figures"
    )
    models.add_argument("pattern", nargs="?", default="*", help="such as 's2mlp*'")
    models.add_argument("--json", metavar="FILE", help="write the rows to FILE as well")
    models.add_argument("--from-json", metavar="FILE", help="print rows measured before")
    weights = commands.add_parser("weights", help="table of the published checkpoints")
    weights.add_argument("model", nargs="?", help="of one model only, such as MixerB16")
    options = parser.parse_args(arguments)
    if options.command == "weights":
        print(weights_table(options.model))
        return
    if options.from_json:
        with open(options.from_json) as file:
            rows = json.load(file)
    else:
        rows = measure(options.pattern)
    if options.json:
        with open(options.json, "w") as file:
            file.write(json.dumps(rows, indent=2) + "\n")
    print(markdown_table(rows))


def measure(pattern: str = "*") -> list[dict]:
    """Builds every model that matches and counts it, beside what its paper says."""
    import keras

    from keras_shiftmlp.macs import count_macs
    from keras_shiftmlp.models import get_model, list_models

    published = json.loads(resources.files("keras_shiftmlp").joinpath("published.json").read_text())
    rows = []
    for name in list_models(pattern):
        model = get_model(name, weights=None)
        rows.append(
            {
                "model": name,
                "input": model.input_shape[1],
                "params": model.count_params(),
                "macs": count_macs(model),
                **published[name],
            }
        )
        del model
        keras.utils.clear_session()
    return rows


def markdown_table(rows: list[dict]) -> str:
    """The rows of `measure` as a Markdown table."""
    head = ["model", "input", "parameters", "paper", "GMACs", "paper", "paper's ImageNet top-1"]
    lines = [head, ["---", *["---:"] * 5, "---"]]
    for row in rows:
        lines.append(
            [
                f"`{row['model']}`",
                f"{row['input']}",
                f"{row['params']:,}",
                row["paper_params"],
                f"{row['macs'] / 1e9:.3f}",
                row["paper_macs"],
                row["paper_top1"],
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def weights_table(model: str | None = None) -> str:
    """The published checkpoints as a Markdown table."""
    from keras_shiftmlp.checkpoints.manifest import list_weights

    rows = list_weights(model)
    keys = list(rows[0]) if rows else []
    lines = [keys, ["---"] * len(keys)]
    lines += [["–" if row[key] is None else str(row[key]) for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
