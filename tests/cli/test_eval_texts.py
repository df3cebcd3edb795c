"""`merchgraph eval carts` and `eval copy`: what is wrong is told before anything is asked."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("copy", "--use-cases", "zzz"), "zzz"),
        (("copy", "--systems", "oracle"), "There is no system 'oracle'; there are"),
        (("copy", "--systems", " , "), "--systems names no system; give all, or names"),
        (("arag", "--systems", ""), "--systems names no system; give all, or names"),
        (("recall", "--targets", "best"), "The setting targets is 'best', but: input should be"),
        (("copy", "--set", "wish=1"), "There is no setting 'wish'; there are use_cases,"),
        (("copy", "--copies", "51"), "The setting copies is 51, but: "),
        (("carts", "--systems", "oracle"), "There is no system 'oracle'; there are"),
        (("carts", "--size", "1"), "The setting size is 1, but: "),
        (("carts", "--set", "kinds"), "--set got 'kinds'; expected NAME=VALUE"),
        (("carts", "--model", "nobody/x"), "The model name 'nobody/x' is not known"),
    ],
)
def test_a_wrong_setting_is_a_sentence(
    typed: Any, sentence: Any, command: tuple[str, ...], told: str
) -> None:
    assert told in sentence(typed("eval", *command))
