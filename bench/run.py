"""`make bench`: measures every number that the README states and writes build/bench.json."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

TARGET: Final = Path("build/bench.json")
THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
OURS: Final = ("AUTOFI_", "OPENAI_")
KEPT: Final = {"AUTOFI_CACHE", "AUTOFI_DATA", "AUTOFI_REQUIRE_SERVICES"}


def main() -> None:
    settle_environment()
    # Imported only now: numerical libraries read their number of threads when they are loaded.
    from bench.decision import decision_figures
    from bench.figures import write_figures
    from bench.forecast import forecast_figures
    from bench.guards import guard_figures
    from bench.optimizer import optimizer_figures
    from bench.overhead import overhead_figures
    from bench.processes import process_figures
    from bench.risk import risk_figures
    from bench.routing import routing_figures

    with tempfile.TemporaryDirectory(prefix="autofi-bench-") as folder:
        figures = [
            *decision_figures(Path(folder) / "decision"),
            *overhead_figures(),
            *guard_figures(),
            *forecast_figures(),
            *optimizer_figures(),
            *routing_figures(),
            *risk_figures(),
            *process_figures(Path(folder) / "demo"),
        ]
    write_figures(TARGET, figures)


def settle_environment() -> None:
    """One thread, and nobody's settings or keys."""
    for name in [name for name in os.environ if name.startswith(OURS) and name not in KEPT]:
        del os.environ[name]
    for name in THREADS:
        os.environ[name] = "1"


if __name__ == "__main__":
    main()
