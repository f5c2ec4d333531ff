"""The examples in docstrings."""

import doctest
import sys
from importlib import import_module
from pathlib import Path

import pytest

import napari_darl

SOURCE = Path(napari_darl.__file__).parent
ERRORS = {"CheckpointError", "DarlError", "DarlWarning", "FileError", "InputError"}
RESULTS = {"Morphometry", "Refinement", "Stenosis"}
PLAIN = ERRORS | RESULTS
"""Public names that need no example: errors, and results of functions that have one."""

PUBLIC = [name for name in napari_darl.__all__ if name not in PLAIN and callable(getattr(napari_darl, name))]
OTHERS = [
    path.relative_to(SOURCE.parent).with_suffix("").as_posix().replace("/", ".")
    for path in sorted(SOURCE.rglob("*.py"))
    if "_napari" not in path.parts and ">>> " in path.read_text(encoding="utf-8")
]
"""Modules with examples, below the plugin."""


def run(tests: list[doctest.DocTest]) -> int:
    """Run examples; return how many there are."""
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        assert not runner.run(test).failed, test.name
    return sum(len(test.examples) for test in tests)


@pytest.mark.usefixtures("quick_refining")
@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_examples_that_work_as_they_are(name: str) -> None:
    thing = getattr(napari_darl, name)
    tests = doctest.DocTestFinder().find(thing, name, module=sys.modules[thing.__module__])
    for test in tests:
        test.globs = {"__name__": "__main__"}  # nothing is there that the example doesn't import
    assert run(tests)


@pytest.mark.parametrize("name", OTHERS)
def test_other_examples(name: str) -> None:
    module = import_module(name)
    public = {public for public in PUBLIC if getattr(napari_darl, public).__module__ == name}
    tests = doctest.DocTestFinder().find(module, name)
    run([test for test in tests if test.name.removeprefix(f"{name}.").split(".")[0] not in public])
