"""The training examples, run as programs, but without waiting for Keras again."""

import json

import keras
import pytest
from cases import once_on_torch
from PIL import Image

pytest.importorskip("grain")
pytestmark = once_on_torch


def check_picture(path):
    with Image.open(path) as picture:
        assert min(picture.size) > 300 and len(picture.convert("L").getcolors()) > 20


def test_training_from_scratch(smoke, tmp_path):
    printed = smoke("train_cifar10.py", "--model", "MixerNano", "--epochs", "2")
    card = json.loads((tmp_path / "card.json").read_text())
    assert f"test accuracy {card['test']['top1']:.2%}" in printed
    assert card["test"]["top1"] > 0.3 and len(card["history"]) == card["epochs"]
    check_picture(tmp_path / "curves.png")
    check_picture(tmp_path / "predictions.png")


@pytest.mark.parametrize("arguments", [[], ["--model", "MixerNano", "--lora", "4"]])
def test_fine_tuning(smoke, tmp_path, arguments):
    printed = smoke("transfer_learning.py", *arguments)
    report = json.loads((tmp_path / "results.json").read_text())
    assert report["top1"]["fine-tuned"][0] > 0.3
    assert "fine-tuned: top-1" in printed
    assert keras.models.load_model(tmp_path / "model.keras").output_shape == (None, 10)
    for name in ("curves.png", "confusion.png", "predictions.png"):
        check_picture(tmp_path / name)


@pytest.mark.parametrize(
    "name, result, picture", [("detection", "AP50", "boxes"), ("segmentation", "mIoU", "masks")]
)
def test_dense_prediction(smoke, tmp_path, name, result, picture):
    pytest.importorskip("keras_hub")
    pytest.importorskip("pycocotools")
    smoke(f"{name}.py")
    report = json.loads((tmp_path / "results.json").read_text())
    assert report[result] > 0.9 and report["loss"][-1] < 0.1 * report["loss"][0]
    check_picture(tmp_path / f"{picture}.png")
