"""`make quality`: how good the numbers are on real markets. Prints tables and writes build/quality.json.

`DATA=folder` names the history; with `TEST=folder` only rows of the other folder are scored.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

TARGET: Final = Path("build/quality.json")
REFUSED: Final = 2
THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    for name in THREADS:
        os.environ[name] = "1"
    # Imported only now: numerical libraries read their number of threads when they are loaded.
    from bench.quality_allocation import allocation_quality
    from bench.quality_forecast import forecast_quality
    from bench.quality_pools import pool_table
    from bench.quality_scores import score_quality
    from bench.quality_var import var_figures
    from domain.errors import ConfigurationInvalid, StaleOrDisputed
    from tests.market_data import LENDING, POOLS, PRICES

    data, test = _folders()
    TARGET.unlink(missing_ok=True)  # an older run's figures must not speak for this one
    figures = []
    try:
        if _has(data, test, LENDING):
            figures += forecast_quality(data, test)
            figures += score_quality(data, test)
            if test is None:
                allocation_quality(data)
            else:
                print("skipped: the allocation table, which has periods of its own; run without TEST for it")
        if _has(test or data, None, POOLS):
            pool_table(test or data)
        if _has(data, test, PRICES):
            figures += var_figures(data, test)
    except (ConfigurationInvalid, StaleOrDisputed) as refusal:
        _refuse(str(refusal))
    if not figures:
        _refuse(f"nothing was scored: {test or data} has no table of the market data with enough to score")
    from bench.figures import write_figures

    write_figures(TARGET, figures)


def _folders() -> tuple[Path, Path | None]:
    from tests.market_data import DATA, data_folder

    parser = argparse.ArgumentParser(prog="make quality", description=__doc__)
    parser.add_argument("--data", type=Path, default=data_folder(), help=f"folder of the history (default: {DATA})")
    parser.add_argument("--test", type=Path, help="folder whose rows alone are scored")
    chosen = parser.parse_args()
    for folder in (chosen.data, chosen.test):
        if folder is not None and not folder.is_dir():
            parser.error(f"{folder} is not a folder; it needs the layout of the market data")
    return chosen.data, chosen.test


def _refuse(reason: str) -> NoReturn:
    print(reason, file=sys.stderr)
    sys.exit(REFUSED)


def _has(data: Path, test: Path | None, table: Path) -> bool:
    """A part without its file, or without a row in it, is skipped and says so."""
    for folder in (data, test):
        if folder is None:
            continue
        if not (folder / table).is_file():
            print(f"skipped: {folder} has no {table}", flush=True)
            return False
        if not _rows(folder / table):
            print(f"skipped: {folder / table} has no row", flush=True)
            return False
    return True


def _rows(path: Path) -> int:
    import pandas as pd

    from domain.errors import ConfigurationInvalid

    try:
        return len(pd.read_parquet(path))
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid(f"{path} is no readable Parquet file: {error}") from error


if __name__ == "__main__":
    main()
