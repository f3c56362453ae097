"""The built site in headless Chromium: `make browser`.

Pictures of all pages are left in `build/screenshots`.
"""

import functools
import http.server
import json
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import keras
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_sample_image

import keras_shiftmlp
from keras_shiftmlp.layers import SpatialShift

BUILD = Path(__file__).parents[2] / "build"
CAT = BUILD.parent / "docs" / "pictures" / "cat.jpg"
SITE, SCREENSHOTS = BUILD / "site", BUILD / "screenshots"
PAGES = sorted(str(x.parent.relative_to(SITE)) for x in SITE.rglob("index.html"))
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    handler = functools.partial(Handler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    program = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert program, "CHROMIUM must name the browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def faults():
    """What went wrong while pages were loaded."""
    return []


@pytest.fixture
def open_page(browser, address, faults):
    """A function that opens a page of the site and notes faults."""
    contexts = []

    def opened(path, size="desktop", scheme="light"):
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda x: x.type == "error" and faults.append(x.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda x: x.url.startswith((address, "blob:", "data:")) or faults.append(x.url),
        )
        page.on("response", lambda x: x.status >= 400 and faults.append(f"{x.status} {x.url}"))
        page.goto(urljoin(address, path), wait_until="load")
        return page

    faults.clear()
    yield opened
    for context in contexts:
        context.close()
    assert not faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_its_window(open_page, path, size, scheme):
    page = open_page(f"{path}/".removeprefix("./"), size, scheme)
    widest = page.evaluate("document.documentElement.scrollWidth")
    assert widest <= SIZES[size][0]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if scheme == "light" else "rgb(30, 33, 41)"
    )
    for alt, width in page.evaluate(
        "Promise.all([...document.images].map(async x => "
        "(x.loading = 'eager', await x.decode(), [x.alt, x.naturalWidth])))"
    ):
        assert alt.strip() and width > 0
    SCREENSHOTS.mkdir(exist_ok=True)
    name = path.replace("/", "_").replace(".", "home", 1) if path == "." else path.replace("/", "_")
    page.screenshot(path=SCREENSHOTS / f"{name}.{size}.{scheme}.png")


def parsed(path):
    return BeautifulSoup((SITE / path / "index.html").read_text("utf-8"), "html.parser")


def test_every_link_of_the_site_has_its_target():
    broken = []
    for path in PAGES:
        base = f"http://site/{path}/".replace("/./", "/")
        for link in parsed(path).find_all(["a", "img", "link", "script"]):
            target = link.get("href") or link.get("src")
            parts = urlsplit(urljoin(base, target or ""))
            if not target or parts.netloc != "site":
                continue
            file = SITE / unquote(parts.path).lstrip("/")
            page = file / "index.html" if file.is_dir() else file
            if not page.is_file():
                broken.append((path, target))
            elif parts.fragment and page.suffix == ".html":
                ids = ids_of(page)
                if unquote(parts.fragment) not in ids:
                    broken.append((path, target))
    assert not broken


@functools.cache
def ids_of(page):
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    return {x.get("id") or x.get("name") for x in soup.find_all(id=True)} | {"__top"}


@pytest.fixture(scope="module")
def network():
    facts = json.loads((BUILD / "try_it" / "network.json").read_text())
    return keras_shiftmlp.get_model(facts["model"], weights=facts["tag"])


def photos(folder):
    """Files of several shapes and formats, larger and smaller than the network's input."""
    china, flower = (load_sample_image(name) for name in ("china.jpg", "flower.jpg"))
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), "uint8")
    arrays = {
        "china.png": china,  # 427 x 640
        "portrait.png": flower[:, 200:300],  # 427 x 100
        "odd.png": flower[:251, :333],
        "small.png": china[:20, :31],  # must be enlarged
        "exact.png": noise,
    }
    for name, pixels in arrays.items():
        Image.fromarray(pixels).save(folder / name)
    Image.fromarray(flower).save(folder / "flower.jpg", quality=95, subsampling=0)
    return sorted(folder.iterdir())


def test_the_browser_computes_the_probabilities_of_keras(open_page, network, tmp_path):
    page = open_page("try_it/")
    transform = keras_shiftmlp.eval_transform(network)
    for file in photos(tmp_path):
        expected = network.predict(transform(file)[None], verbose=0)[0]
        page.set_input_files("#predict input", file)
        page.wait_for_selector("#predict[data-probabilities]")
        values = json.loads(page.get_attribute("#predict", "data-probabilities"))
        assert np.abs(np.array(values) - expected).max() < 1e-4, file.name
        best = page.locator("#predict [data-role=results] button").all_inner_texts()
        names = np.array(network.class_names)[np.argsort(-expected, kind="stable")[:5]]
        assert [text.split()[0] for text in best] == names.tolist()
    page.click("#predict [data-role=sample]")
    page.wait_for_selector("#predict[data-probabilities]")
    values = json.loads(page.get_attribute("#predict", "data-probabilities"))
    expected = network.predict(transform(CAT)[None], verbose=0)[0]
    assert np.abs(np.array(values) - expected).max() < 1e-4
    names = np.array(network.class_names)[np.argsort(-expected, kind="stable")[:5]]
    drawn = page.evaluate(CANVASES, "#predict canvas")
    page.locator("#predict [data-role=results] button").nth(1).click()
    assert page.evaluate(CANVASES, "#predict canvas") != drawn
    assert names[1] in page.get_attribute("#predict canvas", "aria-label")
    page.screenshot(path=SCREENSHOTS / "photo.png", full_page=True)


def test_a_file_that_is_no_photo_gets_a_message(open_page, tmp_path):
    (tmp_path / "text.png").write_text("no photo")
    page = open_page("try_it/")
    page.set_input_files("#predict input", tmp_path / "text.png")
    page.wait_for_function(
        "document.querySelector('#predict [data-role=status]').textContent"
        ".startsWith('This photo could not be classified')"
    )


# The colour at the upper left of the middle of each of 9 x 9 cells, by canvas.
CANVASES = """selector => [...document.querySelectorAll(selector)].map(canvas => {
    const context = canvas.getContext("2d"), size = canvas.width / 9;
    return Array.from({length: 81}, (_, i) => context.getImageData(
        Math.floor((i % 9 + 0.4) * size), Math.floor((Math.floor(i / 9) + 0.4) * size), 1, 1
    ).data.join());
})"""


@pytest.mark.parametrize("order", ["hw", "wh"])
@pytest.mark.parametrize("setting", ["a", "b", "c", "j"])
def test_the_shown_shift_is_that_of_the_layer(open_page, setting, order):
    page = open_page("try_it/")
    page.wait_for_selector("#shift figure")
    page.select_option("#shift [data-role=setting]", setting)
    page.select_option("#shift [data-role=order]", order)
    before = np.array(page.evaluate(CANVASES, "#shift figure canvas"))
    assert len(set(before[0])) == 81
    layer = SpatialShift(setting, order)
    groups = len(layer.steps)
    # (1, 9, 9, groups): the index of the position whose value is here
    index = np.repeat(np.arange(81).reshape(1, 9, 9, 1), groups, axis=-1)
    for steps in range(1, 4):
        page.click("#shift [data-role=step]")
        index = keras.ops.convert_to_numpy(layer(index))
        shown = np.array(page.evaluate(CANVASES, "#shift figure canvas"))
        for group in range(groups):
            assert (shown[group] == before[group][index[0, :, :, group].ravel()]).all()
        count = len(received(layer, steps))
        text = page.inner_text("#shift [data-role=text]")
        assert f"values of {count} of 81 positions" in text


def received(layer, blocks):
    """The positions on which the middle of a 9 x 9 map depends after some blocks."""
    reached = np.eye(81).reshape(81, 9, 9, 1)  # one image per position
    for _ in range(blocks):
        shifted = keras.ops.convert_to_numpy(
            layer(np.repeat(reached, len(layer.steps), axis=-1).astype("float32"))
        )
        reached = shifted.max(-1, keepdims=True)
    return np.flatnonzero(reached[:, 4, 4, 0])
