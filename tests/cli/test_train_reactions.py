"""`merchgraph train reactions`: a detector of made-up people, or of a folder of clips."""

from pathlib import Path

import pytest

from merchgraph.cli.train_reactions import reactions
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.checkpoint import home
from merchgraph.tools.reactions.stream import Detector


def test_without_clips_it_learns_from_made_up_people_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with use_settings(cache=tmp_path):
        reactions(clips=None, out=None, pairs=None)
        detector = Detector.load(home("reactions", "made"))
    assert detector.learnt.face.features[:2] == ("AU06_r", "AU12_r")
    told = " ".join(capsys.readouterr().out.split())
    assert "trained on 320 clips of 20 people" in told
    assert "for trying, not for use" in told


def test_wrong_settings_and_folders_are_said(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="penalty"):
        reactions(clips=None, out=tmp_path, pairs=["penalty=-1"])
    with pytest.raises(SetupError, match=r"give a folder with labels.csv"):
        reactions(clips=tmp_path, out=tmp_path, pairs=None)
    assert list(tmp_path.iterdir()) == []
