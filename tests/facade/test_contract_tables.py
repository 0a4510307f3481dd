"""Tables of contract specs and of margins: mappings, files and frames, what each entry means, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from ml4t_backtest.contracts import (
    AssetClass,
    ContractSpec,
    apply_margins,
    get_contract_spec,
    load_contract_specs,
    load_margin_table,
)


def test_partial_overrides_and_new_specs() -> None:
    table = {
        "ES": {"margin": 15_000, "maintenance_margin": 13_500},
        "esH5": {"initial_margin": "14000", "exchange": None},
        "CL": {"asset_class": "equity"},
        "MINE": {"asset_class": "FUTURE", "multiplier": 10, "tick_size": "1/32", "lot_size": 1, "currency": "EUR"},
    }
    specs = load_contract_specs(table)
    assert specs["ES"] == dataclasses.replace(get_contract_spec("ES"), margin=15_000, maintenance_margin=13_500)
    assert specs["esH5"] == dataclasses.replace(get_contract_spec("ES"), symbol="esH5", margin=14_000)
    assert specs["CL"] == ContractSpec("CL")
    assert specs["MINE"] == ContractSpec("MINE", AssetClass.FUTURE, 10, 1 / 32, None, "EUR", lot_size=1)
    assert get_contract_spec("ES").margin is None
    with pytest.raises(ValueError, match="'MINE' is none of"):
        get_contract_spec("MINE")


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"ES": {"margn": 1}}, ValueError, "contract spec of 'ES': unknown field 'margn'.*did you mean 'margin'"),
        ({"ES": {"symbol": "ES"}}, ValueError, "unknown field 'symbol'"),
        ({"ES": {"margin": 1, "initial_margin": 1}}, ValueError, "got both 'margin'"),
        ({"ES": {"margin": "15,000"}}, ValueError, r"ContractSpec\('ES'\): margin was '15,000', expected a finite number > 0"),
        ({"ES": {"tick_size": "1/0"}}, ValueError, "tick_size was '1/0'"),
        ({"ES": 50}, TypeError, "contract spec of 'ES' was 50, expected a mapping of fields"),
        (
            {"MESS": {"margin": 1}},
            ValueError,
            "'MESS' is none of .*did you mean 'MES'.*a new one has to give asset_class",
        ),
        ({"AB": {"asset_class": "future", "multiplier": 5}}, ValueError, "a new future has to give tick_size"),
        ({"AB": {"asset_class": "future", "tick_size": 5}}, ValueError, "a new future has to give multiplier"),
        ({5: {}}, TypeError, "contract specs: the symbol 5 was a int, expected text"),
        ({" ": {}}, ValueError, "a symbol was empty"),
        ({"ES": {}, "es": {}}, ValueError, "'es' was given twice, before as 'ES'"),
        ([1], TypeError, "contract specs was a builtins.list, expected a mapping, a path"),
        ("specs.txt", ValueError, r"contract specs: specs.txt ends in '.txt', expected one of \['.csv'"),
        ("nowhere.yaml", FileNotFoundError, "contract specs: no such file: nowhere.yaml"),
    ],
)
def test_wrong_tables_of_specs(table: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_contract_specs(table)


SPEC_FILES = {
    "a.yaml": "ES: {margin: 1.5e4}\nON: {asset_class: equity, lot_size: 100}\n700: {asset_class: equity, currency: HKD, margin: ~}\n",
    "a.json": '{"ES": {"margin": 15000}, "ON": {"asset_class": "equity", "lot_size": 100}, "700": {"asset_class": "equity", "currency": "HKD"}}',
    "a.csv": "\ufeffAsset,margin,asset_class,lot_size,currency\nES,15000,,,\n\nON,,equity,100,\n700,,equity,,HKD\n",
}


@pytest.mark.parametrize("name", SPEC_FILES)
def test_files_of_specs_say_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SPEC_FILES[name], encoding="utf-8")
    assert load_contract_specs(tmp_path / name) == {
        "ES": dataclasses.replace(get_contract_spec("ES"), margin=15_000),
        "ON": ContractSpec("ON", lot_size=100),
        "700": ContractSpec("700", currency="HKD"),
    }


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("a.yaml", "ES: {margin: 1}\nES: {margin: 2}", ValueError, "'ES' was given twice"),
        ("a.yaml", "ES: {margin: 1, margin: 2}", ValueError, "'margin' was given twice"),
        ("a.yml", "ES: {margin: 1", ValueError, "a.yml: "),
        ("a.yaml", "- ES", TypeError, "expected symbols with their fields, got list"),
        ("a.json", '{"ES": {}, "ES": {}}', ValueError, "'ES' was given twice"),
        ("a.json", "{", ValueError, "a.json: Expecting"),
        ("a.json", "[]", TypeError, "expected symbols with their fields, got list"),
        ("a.csv", "symbol,margin\nES", ValueError, "row 1 has 1 cells, the header 2"),
        ("a.csv", "symbol,margin,margin\nES,1,2", ValueError, "header: 'margin' was given twice"),
        ("a.csv", "name,margin\nES,1", ValueError, r"has no column of symbols \('name', 'margin'\), expected one of \['symbol'"),
        ("a.csv", "symbol,asset\nES,1", ValueError, r"several columns of symbols, \['symbol', 'asset'\]"),
        ("a.parquet", "no Parquet", ValueError, "a.parquet: cannot be read as Parquet"),
    ],
)
def test_wrong_files_are_named(name: str, text: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message):
        load_contract_specs(tmp_path / name)


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.csv"])
def test_empty_tables_give_nothing_and_other_encodings_an_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("")
    assert load_contract_specs(path) == load_contract_specs({}) == {}
    assert load_margin_table(path) == load_margin_table({}) == {}
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match="no text file"):
        load_contract_specs(path)


MARGINS = {"ES": (15_000.0, 13_500.0), "CL": (6_000.0, 3_000.0)}
FRAME = pl.DataFrame({"Product": ["ES", "CL"], "Initial Margin": [15_000, 6_000], "maintenance": [13_500.0, None], "note": ["a", "b"]})


@pytest.mark.parametrize(
    "form", ["polars", "lazy", "pandas", "pandas index", "arrow", "parquet", "csv", "json", "yaml", "pairs", "mappings"]
)
def test_every_form_of_a_margin_table(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"margins.{form}"
    frame = FRAME.to_pandas()
    sources: dict[str, Any] = {
        "polars": FRAME,
        "lazy": FRAME.lazy(),
        "pandas": frame,
        "pandas index": frame.set_index("Product"),
        "arrow": FRAME.to_arrow(),
        "pairs": {"ES": (15_000, 13_500), "CL": [6_000, None]},
        "mappings": {"ES": {"margin": 15_000, "maintenance_margin": 13_500}, "CL": {"initial": "6e3", "maintenance": ""}},
    }
    if form == "parquet":
        FRAME.write_parquet(path)
    elif form == "csv":
        FRAME.write_csv(path)
    elif form in ("json", "yaml"):
        path.write_text(json.dumps(sources["pairs"]))
    assert load_margin_table(sources.get(form, path)) == MARGINS


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"ES": {"initial": 1, "maintenanc": 1}}, ValueError, "margins of 'ES': expected one of .*got .*did you mean 'maintenance'"),
        ({"ES": {"initial": 1, "margin": 1, "maintenance": 1}}, ValueError, r"for the initial margin, got \['initial', 'margin'\]"),
        ({"ES": (1, 2)}, ValueError, "margins of 'ES': maintenance_margin was 2.0, expected at most the margin of 1.0"),
        ({"ES": (None, 2)}, ValueError, "margins of 'ES': initial was None, expected a finite number > 0"),
        ({"ES": (1, -2)}, ValueError, "margins of 'ES': maintenance was -2"),
        ({"ES": (1, 1, 1)}, TypeError, r"margins of 'ES' were \(1, 1, 1\), expected a pair"),
        ({"ES": 5}, TypeError, "margins of 'ES' were 5, expected a pair"),
        (pd.DataFrame({"symbol": ["ES", "es"], "initial": [1, 1], "maintenance": [1, 1]}), ValueError, "'es' was given twice"),
        (pl.DataFrame({"symbol": [None], "initial": [1], "maintenance": [1]}), TypeError, "the symbol None was a NoneType"),
    ],
)
def test_wrong_margin_tables(table: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_margin_table(table)


def test_margins_go_to_the_specs_that_ask_for_them() -> None:
    es, gc = get_contract_spec("ES"), dataclasses.replace(get_contract_spec("GC"), margin=9.0)
    specs = {"ES": es, "ESH5": es, "gold": gc}
    applied = apply_margins(specs, {"es": (15_000, 13_500), "ESH5": (14_000, None), "NQ": (1, 1)})
    assert applied["ES"] == dataclasses.replace(es, margin=15_000, maintenance_margin=13_500)
    assert (applied["ESH5"].margin, applied["ESH5"].maintenance_margin) == (14_000, 7_000)
    assert applied["gold"] is gc
    assert specs == {"ES": es, "ESH5": es, "gold": gc}
    assert apply_margins(specs, {}) == specs
    assert apply_margins({}, MARGINS) == {}
    with pytest.raises(ValueError, match=r"the margin table has \['NQ'\], none of the specs \['ES', 'ESH5', 'gold'\]"):
        apply_margins(specs, {"NQ": (1, 1)})
    with pytest.raises(TypeError, match=r"specs\['ES'\] was a int"):
        apply_margins({"ES": 50}, MARGINS)  # type: ignore[dict-item]
