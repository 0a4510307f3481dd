from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import pathlib
import re
import subprocess
import sys

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t_backtest import sample_data
from ml4t_backtest.sample_data import build as builder

BARS = {
    "timestamp": pl.Datetime("us"),
    "symbol": pl.String,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
}
CLOSES = {"timestamp": pl.Datetime("us"), "symbol": pl.String, "close": pl.Float64}
# name: schema, rows, first day, last day, symbols
EXPECTED = {
    "sp500": (BARS, 5031, dt.date(1999, 1, 4), dt.date(2018, 12, 31), ["SP500"]),
    "nasdaq": (BARS, 5031, dt.date(1999, 1, 4), dt.date(2018, 12, 31), ["NASDAQ"]),
    "us_stocks": (
        CLOSES,
        166260,
        dt.date(1990, 1, 2),
        dt.date(2022, 12, 28),
        [
            "AAPL",
            "AMD",
            "BAC",
            "BBY",
            "CVX",
            "GE",
            "HD",
            "JNJ",
            "JPM",
            "KO",
            "LLY",
            "MRK",
            "MSFT",
            "PEP",
            "PFE",
            "PG",
            "RRC",
            "UNH",
            "WMT",
            "XOM",
        ],
    ),
}
INDICES = ("sp500", "nasdaq")
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    return {name: sample_data.load(name) for name in sample_data.names()}


def folder_text(name: str) -> str:
    folder = sample_data.path("sp500").parent
    return (folder / name).read_text(encoding="utf-8")


def row(frame: pl.DataFrame, symbol: str, day: dt.datetime) -> tuple[float, ...]:
    found = frame.filter(pl.col("symbol") == symbol, pl.col("timestamp") == day)
    return tuple(found.drop("timestamp", "symbol").row(0))


def test_names_are_the_documented_ones() -> None:
    assert sample_data.names() == ("sp500", "nasdaq", "us_stocks")
    assert sample_data.__all__ == sorted(sample_data.__all__)


@pytest.mark.parametrize("name", EXPECTED)
def test_schema_rows_and_range(name: str, frames: dict[str, pl.DataFrame]) -> None:
    schema, rows, first, last, symbols = EXPECTED[name]
    frame = frames[name]
    assert dict(frame.schema) == schema
    assert frame.height == rows
    assert frame["timestamp"].min().date() == first
    assert frame["timestamp"].max().date() == last
    assert frame["symbol"].unique().sort().to_list() == symbols


@pytest.mark.parametrize("name", EXPECTED)
def test_sorted_unique_and_complete(name: str, frames: dict[str, pl.DataFrame]) -> None:
    frame = frames[name]
    keys = frame.select("timestamp", "symbol")
    assert_frame_equal(keys, keys.sort("timestamp", "symbol"))
    assert not keys.is_duplicated().any()
    assert frame.null_count().sum_horizontal().item() == 0
    for column in frame.columns[2:]:
        assert frame[column].is_finite().all()


@pytest.mark.parametrize("name", EXPECTED)
def test_timestamps_are_midnights_of_weekdays(name: str, frames: dict[str, pl.DataFrame]) -> None:
    stamps = frames[name]["timestamp"]
    assert (stamps.dt.truncate("1d") == stamps).all()
    assert (stamps.dt.weekday() <= 5).all()


@pytest.mark.parametrize("name", EXPECTED)
def test_prices_are_positive(name: str, frames: dict[str, pl.DataFrame]) -> None:
    frame = frames[name]
    for column in set(frame.columns) & {"open", "high", "low", "close"}:
        assert (frame[column] > 0).all()


@pytest.mark.parametrize("name", INDICES)
def test_bars_are_consistent(name: str, frames: dict[str, pl.DataFrame]) -> None:
    frame = frames[name]
    assert (frame["high"] >= frame["low"] - TOLERANCE).all()
    for column in ("open", "close"):
        assert (frame[column] <= frame["high"] + TOLERANCE).all()
        assert (frame[column] >= frame["low"] - TOLERANCE).all()
    assert (frame["volume"] >= 0).all()


def test_every_stock_has_every_day(frames: dict[str, pl.DataFrame]) -> None:
    per_day = frames["us_stocks"].group_by("timestamp").len()
    assert per_day.height == 8313
    assert (per_day["len"] == 20).all()


def test_the_sets_share_their_days(frames: dict[str, pl.DataFrame]) -> None:
    days = frames["sp500"]["timestamp"]
    assert days.equals(frames["nasdaq"]["timestamp"])
    stocks = frames["us_stocks"]["timestamp"].unique().sort()
    assert days.to_list() == stocks.filter(stocks.is_between(days.min(), days.max())).to_list()


# The values are copied from the CSV files of the two packages.
@pytest.mark.parametrize(
    ("name", "symbol", "day", "values"),
    [
        (
            "sp500",
            "SP500",
            dt.datetime(1999, 1, 4),
            (1229.22998, 1248.810059, 1219.099976, 1228.099976, 877000000.0),
        ),
        (
            "sp500",
            "SP500",
            dt.datetime(2008, 10, 13),
            (912.75, 1006.929993, 912.75, 1003.349976, 7263370000.0),
        ),
        (
            "sp500",
            "SP500",
            dt.datetime(2018, 12, 31),
            (2498.939941, 2509.23999, 2482.820068, 2506.850098, 3442870000.0),
        ),
        (
            "nasdaq",
            "NASDAQ",
            dt.datetime(1999, 1, 5),
            (2207.75, 2251.77002, 2206.48999, 2251.27002, 948350000.0),
        ),
        (
            "nasdaq",
            "NASDAQ",
            dt.datetime(2018, 12, 31),
            (6649.52002, 6659.959961, 6570.060059, 6635.279785, 2098560000.0),
        ),
        ("us_stocks", "AAPL", dt.datetime(1990, 1, 2), (0.264,)),
        ("us_stocks", "GE", dt.datetime(1990, 1, 3), (14.364,)),
        ("us_stocks", "MSFT", dt.datetime(2022, 12, 28), (233.434,)),
        ("us_stocks", "XOM", dt.datetime(2022, 12, 28), (106.627,)),
    ],
)
def test_known_values(
    name: str,
    symbol: str,
    day: dt.datetime,
    values: tuple[float, ...],
    frames: dict[str, pl.DataFrame],
) -> None:
    assert row(frames[name], symbol, day) == values


def test_stock_closes_are_adjusted(frames: dict[str, pl.DataFrame]) -> None:
    moves = frames["us_stocks"].with_columns(move=pl.col("close").pct_change().over("symbol", order_by="timestamp"))
    events = [
        ("AAPL", dt.datetime(2014, 6, 9)),  # seven for one
        ("AAPL", dt.datetime(2020, 8, 31)),  # four for one
        ("GE", dt.datetime(2021, 8, 2)),  # one for eight
        ("MSFT", dt.datetime(2004, 11, 15)),  # special dividend of about a tenth
    ]
    for symbol, day in events:
        assert abs(row(moves, symbol, day)[1]) < 0.05


def test_oddities_are_as_documented(frames: dict[str, pl.DataFrame]) -> None:
    empty = frames["nasdaq"].filter(pl.col("volume") == 0)["timestamp"].dt.date().to_list()
    assert empty == [dt.date(2015, 5, 12), dt.date(2018, 1, 9)]
    assert (frames["sp500"]["volume"] > 0).all()
    stale = frames["sp500"].filter(pl.col("open") == pl.col("close").shift(1))
    assert stale.height == 2004
    assert stale.filter(pl.col("timestamp").dt.year() <= 2005).height == 1694
    cheap = frames["us_stocks"].filter(pl.col("close") < 1)
    assert cheap.height == 5694
    assert cheap.filter(pl.col("symbol") == "AAPL").height == 3776


def test_loads_are_independent(frames: dict[str, pl.DataFrame]) -> None:
    changed = sample_data.load("sp500")
    changed[0, "close"] = -1.0
    assert_frame_equal(sample_data.load("sp500"), frames["sp500"])


@pytest.mark.parametrize("name", EXPECTED)
def test_provenance_matches_the_file(name: str) -> None:
    file = sample_data.path(name)
    content = file.read_bytes()
    text = folder_text("PROVENANCE.md")
    recorded = re.findall(rf"^([0-9a-f]{{64}})  {name}\.parquet$", text, flags=re.MULTILINE)
    assert recorded == [hashlib.sha256(content).hexdigest()]
    _, rows, first, last, _ = EXPECTED[name]
    assert f"| `{file.name}` | {rows} | {first} | {last} | {len(content)} |" in text


def test_files_are_small() -> None:
    assert sum(sample_data.path(name).stat().st_size for name in sample_data.names()) < 3_000_000


def test_licences_travel_with_the_data() -> None:
    text = folder_text("LICENSES.md")
    assert "Copyright (c) 2017 Kevin Sheppard. All rights reserved." in text
    assert "Copyright (c) 2023-2026 The skfolio developers." in text
    assert "OTHER DEALINGS WITH\nTHE SOFTWARE." in text
    assert "EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE." in text


@pytest.mark.parametrize("name", EXPECTED)
def test_path_is_the_loaded_file(name: str, frames: dict[str, pl.DataFrame]) -> None:
    file = sample_data.path(name)
    assert isinstance(file, pathlib.Path)
    assert file.name == f"{name}.parquet"
    assert_frame_equal(pl.read_parquet(file), frames[name])


@pytest.mark.parametrize("function", [sample_data.load, sample_data.path])
def test_unknown_name(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError) as caught:
        function("SP-500")
    assert str(caught.value) == ("unknown sample data 'SP-500'; the names are 'sp500', 'nasdaq', 'us_stocks'. Did you mean 'sp500'?")
    with pytest.raises(ValueError) as caught:
        function("zzz")
    assert str(caught.value) == ("unknown sample data 'zzz'; the names are 'sp500', 'nasdaq', 'us_stocks'.")
    for wrong in ("", "../sp500", "sp500.parquet", None, 3, ["sp500"]):
        with pytest.raises(ValueError, match="unknown sample data"):
            function(wrong)


def test_import_is_light() -> None:
    # The parent package is replaced by an empty one: only this package is under test.
    parent = sample_data.path("sp500").parent.parent
    code = (
        "import sys, types\n"
        "parent = types.ModuleType('ml4t_backtest')\n"
        f"parent.__path__ = [{str(parent)!r}]\n"
        "sys.modules['ml4t_backtest'] = parent\n"
        "import ml4t_backtest.sample_data as data\n"
        "import ml4t_backtest.sample_data.build\n"
        "assert data.path(data.names()[0]).is_file()\n"
        "heavy = {'polars', 'pandas', 'numba', 'numpy', 'pyarrow', 'arch', 'skfolio'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_build_names_the_missing_package(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def absent(package: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(builder.metadata, "distribution", absent)
    target = tmp_path / "out"
    assert builder.main([str(target)]) == 1
    message = capsys.readouterr().err
    assert "'arch' is not installed" in message
    assert "pip install arch skfolio" in message
    assert not target.exists()


class FakePackage:
    version = "0"

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root

    def locate_file(self, member: str) -> pathlib.Path:
        return self.root / member


@pytest.fixture
def tiny_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "site"
    header = "Date,Open,High,Low,Close,Adj Close,Volume\n"
    files = {
        "arch/data/sp500/sp500.csv.gz": header + "1/4/1999,1,3,1,2,2,10\n1/5/1999,2,3,1,3,3,0\n",
        "arch/data/nasdaq/nasdaq.csv.gz": header + "1/5/1999,2,3,1,3,1.5,7\n1/4/1999,1,3,1,2,1,8\n",
        "skfolio/datasets/data/sp500_dataset.csv.gz": "Date,B,A\n1999-01-04,1.5,2\n1999-01-05,,3\n",
    }
    for member, text in files.items():
        file = root / member
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(builder.metadata, "distribution", lambda package: FakePackage(root))
    return root


def test_build_from_tiny_sources(tiny_sources: pathlib.Path, tmp_path: pathlib.Path) -> None:
    sp500, nasdaq, stocks = builder.build(tmp_path / "out")
    assert [sp500.name, nasdaq.name, stocks.name] == list(sample_data.names())
    assert dict(pl.read_parquet(sp500.path).schema) == BARS
    adjusted = pl.read_parquet(nasdaq.path)
    assert dict(adjusted.schema) == {**BARS, "adj_close": pl.Float64}
    assert adjusted["adj_close"].to_list() == [1.0, 1.5]
    closes = pl.read_parquet(stocks.path)
    first, second = dt.datetime(1999, 1, 4), dt.datetime(1999, 1, 5)
    assert closes.rows() == [(first, "A", 2.0), (first, "B", 1.5), (second, "A", 3.0)]
    assert (stocks.rows, stocks.missing, sp500.missing) == (3, 1, 0)


def test_build_twice_gives_the_same_bytes(tiny_sources: pathlib.Path, tmp_path: pathlib.Path) -> None:
    once = builder.build(tmp_path / "once")
    twice = builder.build(tmp_path / "twice")
    for left, right in zip(once, twice, strict=True):
        assert left.path.read_bytes() == right.path.read_bytes()
        assert left.sha256 == right.sha256


def test_build_refuses_two_rows_for_one_day(tiny_sources: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = tiny_sources / "skfolio/datasets/data/sp500_dataset.csv.gz"
    file.write_text("Date,A\n1999-01-04,1\n1999-01-04,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="several rows for one day"):
        builder.build(tmp_path / "out")


def test_build_names_a_missing_file(tiny_sources: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny_sources / "arch/data/nasdaq/nasdaq.csv.gz").unlink()
    assert builder.main([str(tmp_path / "out")]) == 1
    assert "arch 0, arch/data/nasdaq/nasdaq.csv.gz does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_rebuild_from_the_real_packages(tmp_path: pathlib.Path, frames: dict[str, pl.DataFrame]) -> None:
    text = folder_text("PROVENANCE.md")
    try:
        results = builder.build(tmp_path)
    except ModuleNotFoundError:
        pytest.skip("arch or skfolio is not installed")
    for result in results:
        if result.source_sha256 not in text:
            pytest.skip(f"other source data than recorded: {result.source}")
        assert_frame_equal(pl.read_parquet(result.path), frames[result.name])
