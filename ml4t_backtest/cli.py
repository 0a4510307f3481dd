"""The command line `ml4t-backtest`: a demonstration, runs of a strategy file, a look at results, and compiling ahead.

Nothing heavy is imported at module level, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TextIO

from ml4t_backtest import __version__
from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.engine import Engine
    from ml4t_backtest.result import BacktestResult

__all__ = ["main"]

PROGRAM = "ml4t-backtest"
DONE, FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141  # the last two as shells report SIGINT and SIGPIPE


class UsageError(Exception):
    """Something the user can put right: printed as one line, exit code 2."""


class UserCodeError(Exception):
    """Code of the user's file raised, and the traceback has been printed: exit code 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    argv: the arguments, None for those of the process. 0 done, 1 the strategy or writing failed, 2 wrong usage, 130
    Ctrl-C.
    """
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed what there is to say
        return stop.code if isinstance(stop.code, int) else DONE
    try:
        with _short_warnings():
            code: int = options.command(options)
        sys.stdout.flush()
    except UsageError as error:
        code = _complain(" ".join(str(error).split()), USAGE)
    except UserCodeError:
        code = FAILED
    except KeyboardInterrupt:  # the commands have written what there was
        code = _complain("interrupted", INTERRUPTED, "")
    except BrokenPipeError:
        _discard_output()
        code = BROKEN_PIPE
    except OSError as error:  # no space, no permission
        code = _complain(str(error), FAILED)
    return code


def _complain(text: str, code: int, label: str = "error: ") -> int:
    print(f"{PROGRAM}: {label}{text}", file=sys.stderr)
    return code


def _discard_output() -> None:
    """Nobody reads on (`| head`): what is still buffered must not raise again when Python ends."""
    with suppress(OSError):  # no real file behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Print the library's own warnings as one line; they are about data and settings, not about a line of code."""
    ours = str(Path(__file__).parent) + os.sep
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(
            message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
        ) -> None:
            if category is UserWarning and filename.startswith(ours):
                print(f"{PROGRAM}: warning: {message}", file=sys.stderr)
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


# Arguments ---------------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> Any:
        self.exit(USAGE, f"{PROGRAM}: error: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Prints the versions; finds them out only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        python = ".".join(str(part) for part in sys.version_info[:3])
        print(f"{PROGRAM} {__version__} (numba {version('numba')}, Python {python})")
        parser.exit()


def _parser() -> _Parser:
    parser = _Parser(PROGRAM, description="Event-driven backtesting on compiled kernels.", allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the versions and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = _command(commands, "demo", "Run two strategies on bundled market data, print and write their results", _demo)
    demo.add_argument("--out", metavar="DIR", default="ml4t-demo", help="folder for the results (default: %(default)s)")
    demo.add_argument("--quiet", action="store_true", help="print only the results, no progress and no timings")
    _add_run_arguments(_command(commands, "run", "Run a strategy from a Python file on prices from a Parquet file", _run))
    view = _command(commands, "view", "Look at saved results in a browser, on this computer only", _view)
    view.add_argument("folder", metavar="DIR", help="a saved result, or a folder with some in it")
    view.add_argument("--port", metavar="N", type=int, default=8050, help="port of the page, 0 for any free one (default: %(default)s)")
    view.add_argument("--no-browser", action="store_true", help="do not open a browser")
    _command(commands, "warmup", "Compile all kernels ahead, for container images and CI", _warmup)
    return parser


def _command(commands: Any, name: str, text: str, command: Callable[[argparse.Namespace], int]) -> _Parser:
    parser: _Parser = commands.add_parser(name, help=text, description=f"{text}.", allow_abbrev=False)
    parser.set_defaults(command=command)
    return parser


def _add_run_arguments(run: argparse.ArgumentParser) -> None:
    add = run.add_argument
    add("strategy", metavar="STRATEGY.py:Class", help="file and class in it, a Strategy or ArrayStrategy; it may import files next to it")
    add("--prices", metavar="FILE", required=True, help="Parquet: timestamp, symbol (or asset), close, perhaps open, high, low, volume")
    add("--signals", metavar="FILE", help="Parquet: timestamp, symbol, one column per signal")
    add("--context", metavar="FILE", help="Parquet: timestamp, one column per market-wide value")
    settings = run.add_mutually_exclusive_group()
    settings.add_argument("--config", metavar="FILE", help="settings from a YAML file")
    settings.add_argument("--preset", metavar="NAME", default="default", help="settings by name (default: %(default)s)")
    add("--cash", metavar="X", type=float, help="initial cash, instead of that of the settings")
    add("--param", metavar="NAME=VALUE", action="append", default=[], help="argument of the class, the value as in YAML; can be repeated")
    add("--out", metavar="DIR", default="results", help="folder for the results (default: %(default)s)")
    add("--force", action="store_true", help="overwrite results in a folder that is not empty")
    add("--no-progress", action="store_true", help="no progress bar")


# Commands ----------------------------------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    folder = Path(options.out)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file, expected a folder")
    from ml4t_backtest.demo import run_demo

    run_demo(folder, quiet=options.quiet)
    return DONE


def _view(options: argparse.Namespace) -> int:
    from ml4t_backtest.dashboard.command import view

    try:
        view(options.folder, options.port, browser=not options.no_browser)
    except (ValueError, ImportError, FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(str(error)) from error
    return DONE


def _warmup(_: argparse.Namespace) -> int:
    from ml4t_backtest.warming import warm_all
    from ml4t_kernels import _jit

    start = perf_counter()
    warm_all()
    print(f"all kernels ready after {perf_counter() - start:.1f} s")
    print(f"cache: {_jit.cache_folder()}" if _jit.COMPILED else "cache: none, NUMBA_DISABLE_JIT is set")
    return DONE


def _run(options: argparse.Namespace) -> int:
    folder = _results_folder(Path(options.out), force=options.force)
    file, name = _strategy_file(options.strategy)
    for role in ("prices", "signals", "context", "config"):
        given = getattr(options, role)
        if given is not None and not Path(given).exists():
            raise UsageError(f"--{role}: no such file: {given}")
    params = _parameters(options.param)
    settings = _settings(options)
    before = sys.path[:]
    sys.path.insert(0, str(file.resolve().parent))  # as Python does for the script it runs
    try:
        strategy = _strategy(_strategy_class(file, name), params)
        return _execute(options, settings, strategy, folder)
    finally:
        sys.path[:] = before


def _execute(options: argparse.Namespace, settings: BacktestConfig, strategy: Any, folder: Path) -> int:
    """Build the feed, run, write, print. Returns the exit code."""
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.demo import Clock, load_kernels, print_results, print_text, settings_in_words
    from ml4t_backtest.engine import Engine

    load_kernels()
    clock = Clock()
    with _library_errors(options), clock.part("feed"):
        feed = DataFeed(prices_path=options.prices, signals_path=options.signals, context_path=options.context)
        engine = Engine(feed, strategy, settings)
    print_text(f"{feed.n_bars:,} bars of {shortened(feed.assets)}")
    print_text(settings_in_words(settings))
    with clock.part("run"):
        result = _run_engine(engine, folder, progress=not options.no_progress)
    with clock.part("results"):
        result.to_parquet(folder)
    print()
    print_results([(type(strategy).__name__, "")], [result])
    print()
    print_text(clock.in_words(result["num_bars"], len(feed.assets)))
    print(f"Results written to {folder}{os.sep}", flush=True)
    return INTERRUPTED if result.status == "interrupted" else DONE


def _run_engine(engine: Engine, folder: Path, *, progress: bool) -> BacktestResult:
    """Run; when the strategy raises, write the run up to there, show the traceback and raise UserCodeError."""
    folder.mkdir(parents=True, exist_ok=True)  # before a long run rather than after it
    try:
        return engine.run(progress=progress)
    except KeyboardInterrupt:  # the second one; the engine turns the first into a result
        raise
    except BaseException as error:
        shown = isinstance(error, Exception) and not isinstance(error, BrokenPipeError)
        if shown:
            traceback.print_exception(error)
        result = engine.result
        result.to_parquet(folder)
        if not shown:  # sys.exit() in the strategy, or nobody reads what it prints
            raise
        bars = f"{result['num_bars']:,} of {engine.feed.n_bars:,} bars"
        _complain(f"the strategy raised; the result up to there ({bars}) is in {folder}{os.sep}", FAILED)
        raise UserCodeError from error


# What the user names -----------------------------------------------------------------------------------------------------


@contextmanager
def _library_errors(options: argparse.Namespace) -> Iterator[None]:
    """Turn the library's complaints about data and settings into usage errors; their words are for the user already."""
    import polars as pl

    for role in ("prices", "signals", "context"):
        path = getattr(options, role)
        try:
            if path is not None:
                pl.scan_parquet(path).collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:  # Polars does not say which file
            raise UsageError(f"--{role}: {path} cannot be read as Parquet: {error}") from error
    try:
        yield
    except (ValueError, TypeError, OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(str(error)) from error


def _results_folder(folder: Path, *, force: bool) -> Path:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file, expected a folder")
    if not force and folder.exists() and any(folder.iterdir()):
        raise UsageError(f"--out {folder} is not empty; name another folder, or overwrite the results in it with --force")
    return folder


def _settings(options: argparse.Namespace) -> BacktestConfig:

    from ml4t_backtest.config import BacktestConfig

    try:
        settings = BacktestConfig.from_yaml(options.config) if options.config else BacktestConfig.from_preset(options.preset)
        return settings if options.cash is None else settings.replace(initial_cash=options.cash)
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(str(error)) from error


def _parameters(pairs: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE pairs."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--param was {pair!r}, expected NAME=VALUE")
        if name in values:
            raise UsageError(f"--param {name} was given twice")
        values[name] = _scalar(name, text)
    return values


def _scalar(name: str, text: str) -> Any:
    """Read a value as YAML, except for two surprises of YAML 1.1: there 1e-3 is text and 9:30 is 570."""
    import yaml

    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", text):
        return float(text)
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that no calendar has
        raise UsageError(f"--param {name}: {text!r} is no YAML value: {error}") from error
    return text if isinstance(value, (int, float)) and ":" in text else value


def _strategy_file(text: str) -> tuple[Path, str]:
    path, _, name = text.rpartition(":")
    if not path or not name.isidentifier():
        raise UsageError(f"strategy was {text!r}, expected FILE.py:Class, for example my_strategy.py:Momentum")
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"no such strategy file: {file}")
    return file, name


@contextmanager
def _user_code() -> Iterator[None]:
    """Show the traceback of whatever the user's code raises."""
    try:
        yield
    except Exception as error:
        traceback.print_exception(error)
        raise UserCodeError from error


def _module(file: Path) -> ModuleType:
    """Run the user's file as a module. No bytecode is left next to it, so an edited file is never taken from a cache."""
    from types import ModuleType

    module = ModuleType(f"ml4t_strategy_{file.stem}")
    module.__file__ = str(file.resolve())
    sys.modules[module.__name__] = module  # dataclasses and pickle look the module up
    with _user_code():
        code = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)  # our __future__ imports are not theirs
        exec(code, module.__dict__)  # noqa: S102 - it is what the user asks for
    return module


def _strategy_class(file: Path, name: str) -> type:
    """Return the class of that name in the user's file. Raises UsageError that lists the strategies there."""
    from inspect import isabstract

    from ml4t_backtest.strategy import ArrayStrategy, Strategy

    module = _module(file)
    classes = {key: value for key, value in vars(module).items() if isinstance(value, type)}
    ours = (Strategy, ArrayStrategy)
    usable = [key for key, value in classes.items() if issubclass(value, ours) and not isabstract(value)]
    listed = f"; its strategies: {', '.join(usable)}" if usable else "; there is no strategy in it"
    kind = classes.get(name)
    if kind is None:
        raise UsageError(f"{file} has no class {name!r}{listed}{did_you_mean(name, usable)}")
    if not issubclass(kind, ours):
        raise UsageError(f"{name!r} in {file} is not derived from Strategy or ArrayStrategy{listed}")
    if isabstract(kind):
        missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
        raise UsageError(f"{name!r} in {file} does not define {missing}{listed}")
    return kind


def _strategy(kind: type, params: dict[str, Any]) -> Any:
    from inspect import signature

    takes = signature(kind)
    try:
        takes.bind(**params)
    except TypeError as error:
        unknown = [name for name in params if name not in takes.parameters]
        hint = did_you_mean(unknown[0], takes.parameters) if unknown else ""
        listed = f"it takes {', '.join(takes.parameters)}" if takes.parameters else "it takes no parameters"
        raise UsageError(f"--param: {kind.__name__} {error}; {listed}{hint}") from error
    with _user_code():
        return kind(**params)
