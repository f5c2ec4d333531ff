"""The command `info`: versions, devices, models and settings, for bug reports."""

import json

import typer

from napari_darl.cli.options import AsJson


def info(as_json: AsJson = False) -> None:
    """Print versions, devices, threads, models and settings, for bug reports. It holds no image and no patient data."""
    from napari_darl.inference.system import report_text

    report = _report()
    typer.echo(json.dumps(report, indent=2) if as_json else report_text(report))


def _report() -> dict[str, dict[str, str]]:
    """Collect the report, with the preferences of the window if napari works."""
    from napari_darl.inference.system import system_report

    try:
        from napari_darl._napari.system import window_report

        return window_report()
    except Exception as error:  # noqa: BLE001 (a broken napari is a reason to ask for this report)
        report = system_report()
        return report | {"settings": {"napari": f"can't be used ({type(error).__name__}: {error})"}}
