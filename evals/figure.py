"""How the suites' figures look and become files; they are Vega-Lite specifications."""

from __future__ import annotations

from typing import Any

from merchgraph.evals.extra import bench

Spec = dict[str, Any]

LOOK: Spec = {
    "background": "white",
    # letters are wider in some viewers than where the picture was laid out
    "padding": {"left": 10, "top": 5, "right": 40, "bottom": 5},
    "axis": {"titlePadding": 14},
}
"""Settings for `altair.Chart.configure`."""


def as_svg(spec: Spec) -> str:
    """A figure as a file's text.

    Raises:
        SetupError: the extra bench is not installed.
    """
    with bench("The figure"):
        import vl_convert
    return vl_convert.vegalite_to_svg(spec)
