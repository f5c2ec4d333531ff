"""The command `info`: all that a bug report needs, whatever is broken."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run

from napari_darl._napari.settings import Settings
from napari_darl.inference import system
from napari_darl.io.identity import content_hash
from napari_darl.models import bundled_models
from napari_darl.version import VERSION

BROKEN = """
import sys
for name in ("torch", "napari", "platformdirs", "safetensors"):
    sys.modules[name] = None
sys.argv = ["napari-darl", "info", "--json"]
from napari_darl.cli import main
main()
"""


def test_it_tells_versions_devices_models_and_settings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_darl._napari.system.read_settings", lambda: Settings(device="cpu"))
    assert run("info", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["system", "versions", "devices", "models", "settings"]
    assert told["versions"]["napari-darl"] == VERSION
    assert {"torch", "numpy", "napari", "qtpy"} <= set(told["versions"])
    assert told["devices"]["auto"].startswith(("CPU", "GPU"))
    assert told["devices"]["threads"] == "1"
    for name, file in bundled_models().items():
        assert content_hash(file) in told["models"][name]
    assert told["settings"]["device"] == "cpu"
    assert str(Path.home()) not in json.dumps(told)

    assert run("info") == 0
    assert f"napari-darl: {VERSION}" in capsys.readouterr().out


def test_broken_parts_are_named() -> None:
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert "torch" in told["devices"]["error"]
    assert "platformdirs" in told["settings"]["napari"]
    assert "default" in told["models"]
    assert told["versions"]["napari-darl"] == VERSION


def test_models_that_are_gone_are_named(tmp_path: Path) -> None:
    told = system.system_report([tmp_path / "gone.safetensors"])["models"]
    (entry,) = (text for name, text in told.items() if "gone" in name)
    assert "can't be read" in entry
