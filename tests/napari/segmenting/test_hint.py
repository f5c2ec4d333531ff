"""The hint that names the models and suggests one, until it is dismissed."""

from napari.settings import get_plugin_settings
from windows import Window

from napari_darl.samples import sample_angiogram, sample_fundus


def test_a_model_is_suggested_taken_and_the_hint_dismissed(window: Window) -> None:
    preferences = get_plugin_settings("napari-darl").segmenting
    preferences.suggest_model = True
    widget = window.open_segment()
    hint = widget.hint
    assert hint.isVisibleTo(widget)
    assert "Open an image" in hint.words.text()
    window.viewer.add_image(sample_angiogram()[::2, ::2], name="frame")
    window.wait(lambda: "dark vessels" in hint.words.text())
    assert not hint.use.isEnabled()  # the suggested model is chosen already
    assert widget.model.model == "default"

    window.viewer.add_image(sample_fundus()[200:456, 200:456], name="eye")
    widget.image.value = window.viewer.__wrapped__.layers["eye"]
    window.wait(lambda: "fundus" in hint.words.text())
    assert widget.model.model == "default"  # it is the user's to choose
    hint.use.click()
    assert widget.model.model == "fundus"
    assert not hint.use.isEnabled()
    widget.model.choose("default")
    assert hint.use.isEnabled()

    hint.dismiss.click()
    assert not hint.isVisibleTo(widget)
    assert not preferences.suggest_model
    assert not window.open_segment().hint.isVisibleTo(widget)


def test_versions_are_shown_and_copied(window: Window) -> None:
    from qtpy.QtWidgets import QApplication, QDialog, QPushButton

    widget = window.open_segment()
    widget.device.info.click()
    window.wait(lambda: widget.device.findChild(QDialog) is not None)
    dialog = widget.device.findChild(QDialog)
    next(button for button in dialog.findChildren(QPushButton) if button.text() == "Copy").click()
    text = QApplication.clipboard().text()
    assert text.startswith("system:")
    assert "\n  napari-darl: " in text
    assert "\n  suggest: False" in text
    assert "Copied" in window.messages[-1]
    dialog.close()
