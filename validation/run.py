"""Compares our engine with others: python validation/run.py [FRAMEWORK ...] [--scenario N] [--cases N] [--scale] [--jobs N] [--strategy FILE].

Without names all frameworks take part, for which `python validation/setup.py` makes environments; without options everything but the large
case runs. The exit code is 0 when everything agrees, 1 when something does not, 2 when an environment is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

from tqdm import tqdm  # noqa: E402

from validation.setup import FRAMEWORKS, python_of  # noqa: E402
from validation.suite.outside import Outside, outside_numbers  # noqa: E402
from validation.suite.outside_zipline import frozen_examples  # noqa: E402
from validation.suite.own import compare_strategy  # noqa: E402
from validation.suite.registry import framework  # noqa: E402
from validation.suite.report import Outcome, Report  # noqa: E402
from validation.suite.scale import scale_job  # noqa: E402
from validation.suite.scenarios import SCENARIOS  # noqa: E402
from validation.suite.work import Score, play_family, play_groups  # noqa: E402

__all__ = ["main"]

_SHOWN = 5  # mismatches of a group on the screen
REPORT, README = ROOT / "validation" / "report.md", ROOT / "README.md"
_BEGIN, _END = "<!-- last full validation -->", "<!-- end -->"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frameworks", nargs="*", metavar="FRAMEWORK", help=f"of {', '.join(FRAMEWORKS)}; all without")
    parser.add_argument("--scenario", type=int, action="append", metavar="N", help="this scenario only, no random cases; may be repeated")
    parser.add_argument("--cases", type=int, metavar="N", help="at most N random cases of each family; all without")
    parser.add_argument("--scale", action="store_true", help="also the large case: 250 assets over 5,040 sessions")
    parser.add_argument("--strategy", type=Path, metavar="FILE", help="compare a strategy of yours instead; see docs/validation.md")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="where the report goes; validation/report.md after a full run, else nowhere"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="frameworks that are compared at the same time (default 1)")
    options = parser.parse_args(arguments)
    for name in options.frameworks:
        if name not in FRAMEWORKS:
            parser.error(f"unknown framework {name!r}, expected some of {', '.join(FRAMEWORKS)}")
    known = {scenario.number for scenario in SCENARIOS}
    for number in options.scenario or ():
        if number not in known:
            parser.error(f"there is no scenario {number}, they go from {min(known)} to {max(known)}")
    if options.cases is not None and options.cases < 0:
        parser.error(f"--cases was {options.cases}, expected at least 0")
    if options.jobs < 1:
        parser.error(f"--jobs was {options.jobs}, expected at least 1")
    return options


Scores = tuple[list[Score], list[Score], list[Score]]


def _compared(name: str, options: argparse.Namespace) -> Scores:
    """Run what the options ask for against one framework. Returns the scores of scenarios, of random cases, and at scale."""
    entry = framework(name)
    if options.strategy:
        return [], compare_strategy(entry, options.strategy), []
    families: list[Score] = []
    scale: list[Score] = []
    wanted = [scenario for scenario in SCENARIOS if not options.scenario or scenario.number in options.scenario]
    scenarios = play_groups(entry, {f"{scenario.number:02d} {scenario.title}": scenario.jobs() for scenario in wanted})
    if not options.scenario:
        for number, family in enumerate(entry.families):
            count = family.count if options.cases is None else min(options.cases, family.count)
            with tqdm(total=count, desc=f"{entry.title}: {family.name}", leave=False, disable=options.jobs > 1) as bar:
                families += play_family(entry, number, count, bar.update)
    if options.scale and entry.at_scale:
        scale = play_groups(entry, {"250 assets, 5,040 sessions": [scale_job()]})
    return scenarios, families, scale


def _all_compared(names: list[str], options: argparse.Namespace) -> Iterator[tuple[str, Scores]]:
    """Yield the scores of each framework, `options.jobs` at a time."""
    if options.jobs == 1:
        yield from ((name, _compared(name, options)) for name in names)
        return
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        yield from zip(names, pool.map(partial(_compared, options=options), names), strict=True)


def _tell(outcome: Outcome) -> None:
    """Print what differs, and how far we are."""
    for score in outcome.scores:
        for case in score.mismatches[:_SHOWN]:
            print("\n".join([f"{outcome.framework.title}: {score.title}: {case.case}", *(f"  {text}" for text in case.differences)]))
    cases = sum(score.cases for score in outcome.scores)
    print(f"{outcome.framework.title}: {cases:,} cases, {sum(len(score.mismatches) for score in outcome.scores)} mismatches", flush=True)


def _published(names: list[str]) -> list[Outside]:
    """Return the published numbers whose data come with the frameworks."""
    rows = list(outside_numbers()) if "backtesting" in names else []
    if "zipline" in names:
        examples, compared = frozen_examples()
        rows += [Outside("Zipline's examples", source, what, theirs, ours, None) for what, theirs, ours, source in examples]
        for name, comparison in compared.items():
            counted = sum(comparison.counts.values())
            what = f"{name}: fills, orders, cash and value, rows that agree" + "".join(
                f"; {text}" for text in comparison.differences[:_SHOWN]
            )
            rows.append(Outside("Zipline's examples", examples[0][3], what, counted, counted if comparison.agrees else 0, 0))
    return rows


def _show_in_readme(report: Report) -> None:
    """Put the table of a full run where the README shows it."""
    text = README.read_text()
    before, rest = text.split(_BEGIN)
    README.write_text(f"{before}{_BEGIN}\n\n{report.dated_summary()}\n\n{_END}{rest.split(_END)[1]}")


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for. Returns the exit code."""
    options = _options(arguments)
    names = options.frameworks or list(FRAMEWORKS)
    for name in names:
        try:
            python_of(name)
        except FileNotFoundError as missing:
            print(missing, file=sys.stderr)
            return 2
    shown = " ".join(sys.argv[1:] if arguments is None else arguments)
    report = Report(command=f"python validation/run.py {shown}".strip())
    try:
        for name, scores in _all_compared(names, options):
            report.outcomes.append(Outcome(framework(name), *scores))
            _tell(report.outcomes[-1])
    except ValueError as error:
        if not options.strategy:
            raise
        print(error, file=sys.stderr)
        return 2
    if not options.scenario and not options.strategy:
        report.outside = _published(names)
        wrong = [row for row in report.outside if not row.agrees]
        print(f"published numbers: {len(report.outside)} compared, {len(wrong)} differ")
        for row in wrong:
            print(f"  {row.name}, {row.what}: {row.theirs} published, {row.ours} here")
    whole = options.scale and not options.frameworks and not options.scenario and options.cases is None
    print(report.summary())
    target = options.report or (REPORT if whole else None)
    if target is not None:
        target.write_text(report.markdown())
        print(f"\nwritten to {target}")
    if whole:
        _show_in_readme(report)
    return 0 if report.agrees else 1


if __name__ == "__main__":
    sys.exit(main())
