"""Plots of results, by the data in their figures."""

import json
import subprocess
import sys

import numpy as np
import pytest
from cases import HERE, once

from keras_shiftmlp import visualization
from keras_shiftmlp.visualization._figure import BLUE, VERMILION

pytest.importorskip("matplotlib")
pytestmark = once

ROWS = [
    {"epoch": 1, "loss": 2.0, "top1": 0.3, "val_loss": 1.8, "val_top1": 0.4},
    {"epoch": 2, "loss": 1.5, "top1": 0.5, "val_loss": 1.6, "val_top1": 0.45},
]
WITHOUT_VALIDATION = [{"epoch": 1, "loss": 3.0, "top1": 0.1}]


def data(line):
    return line.get_xdata().tolist(), line.get_ydata().tolist()


def test_curves_are_the_history():
    figure = visualization.plot_curves({"one": ROWS, "two": WITHOUT_VALIDATION})
    loss, accuracy = figure.axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("cross-entropy", "top-1 accuracy")
    assert [axis.get_xlabel() for axis in figure.axes] == ["epoch", "epoch"]
    assert [data(line) for line in loss.lines] == [
        ([1, 2], [1.8, 1.6]),
        ([1, 2], [2.0, 1.5]),
        ([1], [3.0]),
    ]
    assert [data(line) for line in accuracy.lines] == [
        ([1, 2], [0.4, 0.45]),
        ([1, 2], [0.3, 0.5]),
        ([1], [0.1]),
    ]
    # Validation is solid and training dashed, in one colour per run.
    assert [line.get_linestyle() for line in loss.lines] == ["-", "--", "--"]
    colors = [line.get_color() for line in loss.lines]
    assert colors[0] == colors[1] != colors[2]
    names = [text.get_text() for text in accuracy.get_legend().get_texts()]
    assert names == ["one", "two"]


def test_one_epoch_is_seen():
    """A line through one point has no length: the point needs a marker."""
    figure = visualization.plot_curves({"run": ROWS[:1]})
    for axis in figure.axes:
        assert len(axis.lines) == 2
        for line in axis.lines:
            assert len(line.get_xdata()) == 1
            assert line.get_marker() not in ("", "None", None) and line.get_markersize() > 0


def test_predictions_say_what_is_right():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3)).astype("uint8")
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.25, 0.75]])
    figure = visualization.plot_predictions(images, [0, 1, 1], scores, ["cat", "dog"], columns=2)
    right, wrong, last = figure.axes[:3]
    assert right.get_title() == "✓ cat (90%)" and right.title.get_color() == BLUE
    assert wrong.get_title() == "✗ cat (80%)\ntrue: dog" and wrong.title.get_color() == VERMILION
    assert last.get_title() == "✓ dog (75%)" and last.title.get_color() == BLUE
    for axis, image in zip(figure.axes, images):
        np.testing.assert_array_equal(axis.images[0].get_array(), image)
    assert len(figure.axes) == 4 and not figure.axes[3].images


def test_predictions_are_eight_in_a_row():
    images, scores = np.zeros((9, 4, 4, 3), "uint8"), np.ones((9, 1))
    figure = visualization.plot_predictions(images, [0] * 9, scores, ["cat"])
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (2, 8)


def test_one_prediction():
    figure = visualization.plot_predictions(
        np.zeros((1, 4, 4, 3), "uint8"), [0], np.ones((1, 1)), ["cat"], columns=1
    )
    assert figure.axes[0].get_title() == "✓ cat (100%)"


def test_confusion_has_true_classes_as_rows():
    names = ["a", "b", "c"]
    labels, predicted = [0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 1, 0]
    figure = visualization.plot_confusion(labels, predicted, names)
    [axis] = figure.axes
    assert axis.get_ylabel() == "true" and axis.get_xlabel() == "predicted"
    assert [text.get_text() for text in axis.get_xticklabels()] == names
    assert [text.get_text() for text in axis.get_yticklabels()] == names
    # A text at (column, row): the number of images.
    counts = {text.get_position(): int(text.get_text()) for text in axis.texts}
    expected = [[1, 2, 0], [0, 2, 0], [1, 0, 0]]
    assert counts == {(x, y): expected[y][x] for y in range(3) for x in range(3)}
    shares = [[1 / 3, 2 / 3, 0], [0, 1, 0], [1, 0, 0]]
    np.testing.assert_allclose(axis.images[0].get_array(), shares)
    # Row 0 is above row 1, as in a table.
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
    assert axis.get_title() == "50.0% of 6 images right"
    for text in axis.texts:
        column, row = text.get_position()
        assert text.get_color() == ("white" if shares[row][column] > 0.5 else "black")


def test_a_class_without_images_has_an_empty_row():
    figure = visualization.plot_confusion([0], [0], ["a", "b"])
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), [[1, 0], [0, 0]])


BENCHMARK = [
    dict(model="a", backend="torch", mode="predict", params=2e6, ms=3.0, ratio=1.5),
    dict(model="b", backend="torch", mode="predict", params=4e6, ms=5.0, ratio=1.2),
    dict(model="a", backend="jax", mode="predict", params=2e6, ms=2.0, ratio=1.1),
]


def test_benchmark_has_two_bars_per_row():
    figure = visualization.plot_benchmark(BENCHMARK)
    above, below = figure.axes
    assert above.get_title() == "predict" and above.get_ylabel() == "ms per image"
    assert [bar.get_height() for bar in above.patches] == [3.0, 5.0, 2.0]
    assert [bar.get_height() for bar in below.patches] == [1.5, 1.2, 1.1]
    assert [text.get_text() for text in below.get_xticklabels()] == ["a", "b"]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["torch", "jax"]
    for axis in (above, below):
        # The bars of a model are around its tick.
        centres = [bar.get_x() + bar.get_width() / 2 for bar in axis.patches]
        np.testing.assert_allclose(centres, [-0.2, 0.8, 0.2])
        colors = [bar.get_facecolor() for bar in axis.patches]
        assert colors[0] == colors[1] != colors[2]
    [equal] = below.lines
    assert set(equal.get_ydata()) == {1} and equal.get_color() not in colors


def test_profile_has_a_bar_per_layer():
    rows = [
        dict(model="a", backend="jax", layer="Dense", ms=2.0, matmul_ms=1.0),
        dict(model="a", backend="jax", layer="Norm", ms=0.5, matmul_ms=0.0),
    ]
    [axis] = visualization.plot_profile(rows).axes
    assert [bar.get_width() for bar in axis.patches] == [0.5, 2.0, 0.0, 1.0]
    assert [text.get_text().strip() for text in axis.texts] == ["2.00 x"]


def test_many_curves_are_all_drawn():
    figure = visualization.plot_curves({str(i): WITHOUT_VALIDATION for i in range(9)})
    assert len(figure.axes[0].lines) == 9


ACCURACIES = [
    dict(model="S2MLPv2Medium", macs=16e9, params=55e6, paper_top1="83.6"),
    dict(model="S2MLPv2Small", macs=6.9e9, params=25e6, paper_top1="82.0"),
    dict(model="MixerB16", macs=12.6e9, params=60e6, paper_top1="76.44"),
    dict(model="MixerL32", macs=11.3e9, params=207e6, paper_top1="80.67 (JFT-300M)"),
    dict(model="GMixer24", macs=5.3e9, params=25e6, paper_top1="–"),
]


def test_accuracy_has_a_line_per_family():
    figure = visualization.plot_accuracy(ACCURACIES)
    macs, params = figure.axes
    assert [line.get_label() for line in macs.lines] == ["S2MLPv2", "Mixer"]
    assert [data(line) for line in macs.lines] == [([6.9, 16.0], [82.0, 83.6]), ([12.6], [76.44])]
    assert [data(line)[0] for line in params.lines] == [[25.0, 55.0], [60.0]]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["S2MLPv2", "Mixer"]
    assert [axis.get_xlabel() for axis in figure.axes] == [
        "multiply-adds per image, 10⁹",
        "parameters, 10⁶",
    ]
    assert {axis.get_ylabel() for axis in figure.axes} == {"ImageNet top-1 of the paper, %"}


def test_accuracy_tells_the_published_families_apart():
    rows = json.loads((HERE.parent / "docs" / "models.json").read_text())
    lines = visualization.plot_accuracy(rows, costs=["macs"]).axes[0].lines
    assert len(lines) >= 16
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == len(lines)


def test_accuracy_by_measured_time():
    [row, *_] = ACCURACIES
    [axis] = visualization.plot_accuracy([{**row, "ms": 12.5}], costs=["ms"]).axes
    assert data(axis.lines[0]) == ([12.5], [83.6])


@pytest.mark.parametrize(
    "rows, costs, match",
    [(ACCURACIES, ["flops"], "`costs`"), (ACCURACIES, [], "`costs`"), ([], ["macs"], "`rows`")],
)
def test_accuracy_of_nothing(rows, costs, match):
    with pytest.raises(ValueError, match=match):
        visualization.plot_accuracy(rows, costs)


PLOTS = {
    "accuracy": lambda path: visualization.plot_accuracy(ACCURACIES, path=path),
    "curves": lambda path: visualization.plot_curves({"run": ROWS}, path),
    "predictions": lambda path: visualization.plot_predictions(
        np.zeros((1, 4, 4, 3), "uint8"), [0], np.ones((1, 1)), ["cat"], path
    ),
    "confusion": lambda path: visualization.plot_confusion([0], [0], ["a"], path),
    "benchmark": lambda path: visualization.plot_benchmark(BENCHMARK, path),
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_path_saves_the_figure(name, tmp_path):
    from PIL import Image

    figure = PLOTS[name](tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.format == "PNG"
        width, height = 110 * figure.get_size_inches()
        assert picture.size == pytest.approx((width, height), abs=1)
    (tmp_path / "plot.png").unlink()
    PLOTS[name](None)
    assert not list(tmp_path.iterdir())


def test_every_picture_of_the_docs_is_made_by_the_tool():
    """`tools/pictures.py` lists them; `cat.jpg` is the photo that some of them show."""
    command = [sys.executable, HERE.parent / "tools" / "pictures.py", "--list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    folder = HERE.parent / "docs" / "pictures"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["cat.jpg", *(f"{name}.png" for name in listed)]
    )
    assert max(path.stat().st_size for path in folder.parent.rglob("*.[jp][pn]g")) <= 200_000
