"""Compares our engine with others: python validation/run.py [FRAMEWORK ...] [--scenario N] [--cases N] [--scale] [--strategy FILE].

Without names all frameworks whose environments `python validation/setup.py` has made take part; with neither option everything but the
large case runs. The exit code is 0 when everything agrees, 1 when something does not, 2 when an environment is missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

from tqdm import tqdm  # noqa: E402

from validation.setup import FRAMEWORKS, python_of  # noqa: E402
from validation.suite.framework import Framework  # noqa: E402
from validation.suite.outside import outside_numbers  # noqa: E402
from validation.suite.own import compare_strategy  # noqa: E402
from validation.suite.registry import framework  # noqa: E402
from validation.suite.report import Outcome, Report  # noqa: E402
from validation.suite.scale import scale_job  # noqa: E402
from validation.suite.scenarios import SCENARIOS  # noqa: E402
from validation.suite.work import play_family, play_groups  # noqa: E402

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
    return options


def _compared_strategy(entry: Framework, path: Path) -> Outcome:
    """Compare a user's strategy with one framework."""
    return Outcome(entry, families=compare_strategy(entry, path))


def _compared(entry: Framework, options: argparse.Namespace) -> Outcome:
    """Run what the options ask for against one framework."""
    outcome = Outcome(entry)
    wanted = [scenario for scenario in SCENARIOS if not options.scenario or scenario.number in options.scenario]
    outcome.scenarios = play_groups(entry, {f"{scenario.number:02d} {scenario.title}": scenario.jobs() for scenario in wanted})
    if not options.scenario:
        for number, family in enumerate(entry.families):
            count = family.count if options.cases is None else min(options.cases, family.count)
            with tqdm(total=count, desc=f"{entry.title}: {family.name}", leave=False) as bar:
                outcome.families += play_family(entry, number, count, bar.update)
    if options.scale and entry.at_scale:
        outcome.scale = play_groups(entry, {"250 assets, 5,040 sessions": [scale_job()]})
    return outcome


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
    for name in names:
        try:
            outcome = _compared_strategy(framework(name), options.strategy) if options.strategy else _compared(framework(name), options)
        except ValueError as error:
            if not options.strategy:
                raise
            print(error, file=sys.stderr)
            return 2
        report.outcomes.append(outcome)
        for score in outcome.scores:
            for case in score.mismatches[:_SHOWN]:
                print(
                    "\n".join([f"{outcome.framework.title}: {score.title}: {case.case}", *(f"  {text}" for text in case.differences)]),
                    flush=True,
                )
    if not options.scenario and not options.strategy and "backtesting" in names:
        report.outside = list(outside_numbers())
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
