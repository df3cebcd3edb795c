"""How the suites' figures look; they are Vega-Lite specifications, drawn as SVG."""

from __future__ import annotations

from typing import Any

LOOK: dict[str, Any] = {
    "background": "white",
    # letters are wider in some viewers than where the picture was laid out
    "padding": {"left": 10, "top": 5, "right": 40, "bottom": 5},
    "axis": {"titlePadding": 14},
}
"""Settings for `altair.Chart.configure`."""
