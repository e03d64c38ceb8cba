"""`airflow-ecs local`: up, status, logs, scale, password, down."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cdk_airflow_ecs.cli import synthesis
from cdk_airflow_ecs.cli.progress import Board
from cdk_airflow_ecs.cli.running import Running, skipped_files
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State
from cdk_airflow_ecs.local.substitutions import SUBSTITUTIONS

app = typer.Typer(no_args_is_help=True)
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_out = Console(highlight=False, soft_wrap=True)

StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="Folder of data, secrets and logs. Default: .airflow-ecs beside the assembly."),
]


@app.command()
def up(  # noqa: PLR0917  # one per option
    path: Annotated[Path, typer.Argument(help="Output folder of `cdk synth`, or a template in it.")] = Path("cdk.out"),
    app_command: Annotated[
        str | None, typer.Option("--app", help='Synthesize first, with the command of the CDK app: "python app.py".')
    ] = None,
    state: StateOption = None,
    dags: Annotated[
        Path | None, typer.Option(help="Folder to synchronize to the DAG bucket. Default: dags, if it exists.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the UI. Default: a free port.")] = 0,
    image: Annotated[
        list[str] | None, typer.Option(help="NAME=DIR: the folder with the Dockerfile of your image NAME.")
    ] = None,
    extras: Annotated[str, typer.Option(help="Further extras of Airflow to install, such as google,pandas.")] = "",
    detach: Annotated[bool, typer.Option(help="Return when all components are ready.")] = False,
    explain: Annotated[bool, typer.Option(help="Print the differences from AWS, and exit.")] = False,
    isolated: Annotated[
        bool | None,
        typer.Option("--isolated/--shared", help="Network namespaces, or shared loopback. Default: what is allowed."),
    ] = None,
    patience: Annotated[float, typer.Option(help="Seconds within which all components must be ready.")] = 900,
) -> None:
    """Run a template on this machine until Ctrl-C."""
    if explain:
        _explain()
        return
    with _refusals():
        assembly = synthesis.assembly(path, app_command)
        directory = _directory(state, assembly)
        if detach:
            _detach(directory, assembly, sys.argv[1:])
            return
        from cdk_airflow_ecs.local.up import Run, RunOptions  # noqa: PLC0415

        options = RunOptions(
            path=assembly,
            state=directory,
            dags=_dags(dags),
            port=port,
            images=dict(_pair(each) for each in image or []),
            extras=[name.strip() for name in extras.split(",") if name.strip()],
            isolated=isolated,
            patience=patience,
        )
        board = Board(_out)
        _run(Run(options, board.say), board)


def _run(run: Any, board: Board) -> None:
    over = threading.Event()
    began = time.monotonic()
    try:
        with board:
            for number in _ENDS:  # signals interrupt immediately
                signal.signal(number, signal.default_int_handler)
            run.start()
            for number in _ENDS:
                signal.signal(number, lambda *_: over.set())
            gc.freeze()  # garbage collection would be slow: the simulated account has many objects
            ready = run.wait(lambda: board.show(run.services), over=over)
        if ready:
            _out.print(f"Ready after {time.monotonic() - began:.0f} s: [bold]{run.url or 'no load balancer'}[/bold]")
            if run.admin_secret:
                _out.print("User admin, password: airflow-ecs local password" + _state_words(run.options.state))
            _out.print("Ctrl-C stops it." if sys.stdout.isatty() else "Running.")
            run.ready()
            over.wait()
    except KeyboardInterrupt:
        over.set()
    finally:
        for number in _ENDS:  # further signals are ignored
            signal.signal(number, signal.SIG_IGN)
        if over.is_set():
            _out.print("Stopping …")
        run.stop()
    # At a normal exit, Python would spend half a minute on freeing the simulated AWS account.
    sys.stdout.flush()
    os._exit(0)


@app.command()
def status(state: StateOption = None) -> None:
    """Show the running components."""
    with _refusals():
        running = Running.of(_directory(state))
        table = Table(box=None, pad_edge=False)
        for column in ("component", "wanted", "running", "health", "address", "since"):
            table.add_column(column)
        for row in running.rows():
            table.add_row(*row)
        _out.print(f"{running.url or 'no load balancer'} (process {running.pid}, AWS API {running.api})")
        _out.print(table)
        for component, skipped in skipped_files(State.open(_directory(state)).folder("logs")).items():
            for file in skipped:
                _out.print(Text(f"{component} skipped the DAG file {file}"))


@app.command()
def logs(
    component: Annotated[str | None, typer.Argument(help="A component of `status`. Default: all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue until Ctrl-C.")] = False,
    state: StateOption = None,
) -> None:
    """Print the output of containers."""
    with _refusals():
        opened = State.open(_directory(state))
        for name, line in _lines(opened.folder("logs"), component, follow):
            print(f"{name} | {line}")


def _lines(folder: Path, component: str | None, follow: bool) -> Iterator[tuple[str, str]]:
    places: dict[Path, int] = {}
    while True:
        files = sorted(folder.glob(f"{component or '*'}.*.log"), key=lambda file: file.stat().st_mtime)
        if component and not files and not follow:
            known = sorted({file.name.partition(".")[0] for file in folder.glob("*.log")})
            raise Refusal(f"component {component} has no output; components with output: {', '.join(known) or 'none'}")
        for file in files:
            with file.open(errors="replace") as stream:
                stream.seek(places.get(file, 0))
                for line in stream:
                    yield file.name.removesuffix(".log"), line.rstrip("\n")
                places[file] = stream.tell()
        if not follow:
            return
        time.sleep(0.5)


@app.command()
def scale(
    component: Annotated[str, typer.Argument(help="A component of `status`.")],
    count: Annotated[int, typer.Argument(help="Number of tasks.", min=0)],
    state: StateOption = None,
) -> None:
    """Change the number of a component's tasks, like UpdateService."""
    with _refusals():
        Running.of(_directory(state)).scale(component, count)
        _out.print(f"{component}: {count}")


@app.command()
def password(state: StateOption = None) -> None:
    """Print the first password of the user admin."""
    with _refusals():
        print(Running.of(_directory(state)).password())


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(help="A command and its arguments, such as aws s3 ls.")],
    state: StateOption = None,
) -> None:
    """Run a command with the endpoint and credentials of the local AWS API."""
    with _refusals():
        running = Running.of(_directory(state))
        if shutil.which(command[0]) is None:
            raise Refusal(f"the program {command[0]} does not exist")
        mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        os.execvpe(command[0], command, {**mine, **running.environment})  # noqa: S606  # the user's command


@app.command()
def down(state: StateOption = None) -> None:
    """Stop all processes, including those of a killed run. Data is kept."""
    with _refusals():
        directory = _directory(state)
        stopped = Running.end(directory)
        _out.print(f"Stopped. Data stays in {directory}" if stopped else f"Nothing runs on {directory}")


def _detach(directory: Path, assembly: Path, arguments: list[str]) -> None:
    """Start the command in the background, and print its output until it is ready."""
    opened = State.open(directory)
    with opened.lock():
        pass
    opened.write("run", {})
    words = [word for word in arguments if word != "--detach"]
    if "--state" not in " ".join(words):
        words += ["--state", str(directory)]
    log = directory / "agent.log"
    log.unlink(missing_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cdk_airflow_ecs.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    place = 0
    while True:
        ended = process.poll()
        with log.open(errors="replace") as text:
            text.seek(place)
            for line in text:
                print(line, end="", flush=True)
            place = text.tell()
        if ended is not None:
            raise typer.Exit(ended or 1)
        if (opened.read("run") or {}).get("ready"):
            return
        time.sleep(0.2)


def _directory(given: Path | None, assembly: Path | None = None) -> Path:
    if given:
        return given.absolute()
    if assembly:
        return (assembly if assembly.is_dir() else assembly.parent).absolute().parent / ".airflow-ecs"
    return Path(".airflow-ecs").absolute()


def _state_words(directory: Path) -> str:
    return "" if directory == Path(".airflow-ecs").absolute() else f" --state {directory}"


def _dags(given: Path | None) -> Path | None:
    if given and not given.is_dir():
        raise Refusal(f"--dags must be a folder, got {given}")
    return given or (Path("dags") if Path("dags").is_dir() else None)


def _pair(text: str) -> tuple[str, Path]:
    name, separator, folder = text.rpartition("=")
    if not separator or not Path(folder).is_dir():
        raise Refusal(f"--image must be NAME=DIR with an existing folder, got {text!r}")
    return name, Path(folder)


def _explain() -> None:
    for each in SUBSTITUTIONS:
        _out.print(f"[bold]{each.name}[/bold]\n  in the template  {each.says}\n  on this machine  {each.here}")
        _out.print(f"  because          {each.why}\n")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        _refuse(refusal)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _refuse(Refusal(f"the disk of {error.filename or tempfile.gettempdir()} is full"))


def _refuse(refusal: Refusal) -> NoReturn:
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"airflow-ecs: {refusal}")
    raise typer.Exit(1)
