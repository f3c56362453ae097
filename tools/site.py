"""MkDocs hooks: the site has pages and files of the repository that are outside `docs/`.

`README.md` is the home page. A file that a page links to, such as an example, becomes a page that
shows it. Links are rewritten, so that they work in a checkout and on the site.
"""

import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
TRY_IT = ROOT / "build" / "try_it"  # written by tools/try_it.py
NOTEBOOKS = ROOT / "build" / "notebooks"  # written by tools/run_notebooks.py
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
SERVED = {".json", ".md", ".mjs", ".onnx", ".png", ".wasm"}
LANGUAGES = {".py": "python", ".json": "json"}
FAMILY = "<!-- generated: sizes -->"  # marks the page of a family
FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)
INDENT = re.compile(r"^(?: {3}| {6})(?=\S)", re.M)
LINK = re.compile(r"(?<=\]\()([^():#\s]+)(?=[#)])")


def on_config(config):
    """Adds the pages of the families to the navigation."""
    pages = [
        path.name for path in (ROOT / "docs").glob("*.md") if FAMILY in path.read_text("utf-8")
    ]
    families = next(entry["Families"] for entry in config.nav if "Families" in entry)
    families[1:1] = sorted(pages)


def on_files(files, config):
    """Adds the pages from outside `docs/`, what they link to, and the files of "Try it"."""
    sources = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    sources.update({source: (ROOT / source).read_text("utf-8") for source in PAGES})
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=sources[source]))
    for target in sorted({x for source, text in sources.items() for x in _targets(source, text)}):
        path = ROOT / target
        if _page_of(target) != f"source/{target}.md" or not path.is_file():
            continue
        language = LANGUAGES.get(path.suffix, "text")
        text = path.read_text("utf-8")
        shown = f"---\nsearch:\n  exclude: true\n---\n\n# {target}\n\n````{language}\n{text}````\n"
        files.append(File.generated(config, _page_of(target), content=shown))
    for folder in (TRY_IT, NOTEBOOKS):
        for path in folder.iterdir():
            if path.suffix in SERVED:
                name = f"{folder.name}/{path.name}"
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrites links that leave `docs/` or come from a page outside it, and indents lists."""
    sources = {page: source for source, page in PAGES.items()}
    if page.file.src_uri.startswith(("notebooks/", "source/")):
        return markdown
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def on_the_site(match):
        target = _target(source, match[1])
        return os.path.relpath(_page_of(target), Path(page.file.src_uri).parent)

    # A nested list is indented by 3 spaces under a number, and Python-Markdown wants 4.
    parts = FENCE.split(LINK.sub(on_the_site, markdown))
    parts[::2] = [INDENT.sub(lambda m: " " * (len(m[0]) // 3 * 4), part) for part in parts[::2]]
    return "".join(parts)


def _targets(source, text):
    return [_target(source, link) for link in LINK.findall(text)]


def _target(source, link):
    """The path in the repository that a link of a page means."""
    return os.path.normpath(Path(source).parent / link)


def _page_of(target):
    """The path in the site's sources of a path in the repository."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if target.endswith(".ipynb"):
        return f"{target.removesuffix('.ipynb')}.md"
    return PAGES.get(target, f"source/{target}.md")
