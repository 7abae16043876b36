"""Your own code: the files and modules that `--import` names, and the folder in which a command was started.

They are imported before the configuration is parsed, so that the names that they register can be used in it. Only
names from the command line, or from a configuration that it names, are imported; never those in a checkpoint or run folder.
"""

import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from cracklab import config_files, plain_yaml
from cracklab.errors import ConfigError, CracklabError

KEY = "import"
"""The option, and the key of a configuration."""
HELP = "file or module of your own to import, such as my_parts.py; repeat for several"


def search_start_folder() -> None:
    """Append the working folder to the module search path, after installed packages, as `python -m cracklab` does."""
    _search(Path.cwd())


def take(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names to import, and the other arguments.

    Args:
        arguments: of a command; `--import NAME` may be repeated, and the key `import` of a configuration holds a name or a
            list. All of them count: an overlay adds to the names, and replaces none.

    Raises:
        ConfigError: if an option has no value, a configuration cannot be read, or a name is not text.

    Example:
        >>> take(["--import", "my_nets.py", "--name=x", "--import=my_losses"])
        (['my_nets.py', 'my_losses'], ['--name=x'])
    """
    typed: list[str] = []
    kept: list[str] = []
    in_files: list[str] = []
    left = iter(arguments)
    for argument in left:
        option, equals, value = argument.partition("=")
        if option.rstrip("+") != f"--{KEY}":
            kept.append(argument)
            continue
        given = value if equals else next(left, None)
        if given is None:
            raise ConfigError(f"--{KEY} has no value: give a Python file, or the name of a module")
        typed += _names(plain_yaml.load(given) if given.startswith("[") else given)

    def read(file: str) -> list[str]:
        in_files.extend(_names(config_files.read(config_files.find(file)).get(KEY)))
        return [file]

    kept = config_files.replace(kept, read)
    return list(dict.fromkeys([*in_files, *typed])), kept


def import_all(names: Iterable[str]) -> list[ModuleType]:
    """Import files, by their paths, and modules, by their names.

    The folder of a file is searched for modules from then on, also by the processes that prepare samples.

    Raises:
        ConfigError: for a file or module that does not exist, cannot be imported, or registers a name that is taken.

    Example:
        >>> import_all(["json"])[0].__name__
        'json'
        >>> import_all(["my_parts.py"])
        Traceback (most recent call last):
        cracklab.errors.ConfigError: --import my_parts.py: there is no such file in ...
    """
    return [_import(name) for name in names]


def import_nets(names: Sequence[str]) -> list[str]:
    """Import files and modules, and return the class paths of their nets, which a checkpoint may then name.

    Raises:
        ConfigError: see `import_all`.
    """
    if not names:
        return []
    from torch import nn  # takes seconds, which --help does not wait for

    search_start_folder()
    paths = []
    for module in import_all(names):
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, nn.Module) and _is_of(value, module):
                paths += [f"{module.__name__}.{name}", f"{value.__module__}.{value.__name__}"]
    return paths


def trusting(net: str, names: Iterable[str]) -> str:
    """Return the option with which `predict` and similar commands accept your own net, with its value.

    Args:
        net: its class path.
        names: what the run imported.

    Example:
        >>> trusting("my_nets.Net", ["lib/my_nets.py"]), trusting("package.Net", [])
        ('--import lib/my_nets.py', '--trust package.Net')
    """
    module = net.rpartition(".")[0]
    for name in names:
        if _module_name(name) == module:
            return f"--{KEY} {name}"
    file = getattr(sys.modules.get(module), "__file__", None)
    beside = Path.cwd().joinpath(*module.split("."))
    if file and Path(file) in (beside.with_suffix(".py"), beside / "__init__.py"):
        return f"--{KEY} {module}"
    return f"--trust {net}"


def _names(given: Any) -> list[str]:
    names = [] if given is None else given if isinstance(given, list) else [given]
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f"{KEY} is {given!r}: give Python files, or names of modules")
    return names


def _module_name(name: str) -> str:
    return Path(name).stem if name.endswith(".py") else name


def _search(folder: Path) -> None:
    """Append a folder to the module search path; at its end, so that no file in the folder hides an installed package."""
    if str(folder.absolute()) not in sys.path:
        sys.path.append(str(folder.absolute()))


def _import(name: str) -> ModuleType:
    module_name, file = _module_name(name), Path(name).expanduser().absolute() if name.endswith(".py") else None
    if file is not None and not file.is_file():
        raise ConfigError(f"--{KEY} {name}: there is no such file in {Path.cwd()}: check the path")
    if not all(part.isidentifier() for part in module_name.split(".")) or (file and "." in module_name):
        raise ConfigError(
            f"--{KEY} {name}: {module_name!r} is not the name of a Python module: give a file such as my_parts.py, or a module"
        )
    if file is not None:
        _search(file.parent)
    try:
        module = import_module(module_name)
    except CracklabError as error:  # a name that is registered already
        raise ConfigError(f"--{KEY} {name}: {error}") from error
    except (Exception, SystemExit) as error:
        _explain(name, module_name, error)
    if file is not None and not (module.__file__ and Path(module.__file__).samefile(file)):
        raise ConfigError(
            f"--{KEY} {name}: {module_name} is the name of another module, {module.__file__ or 'built in'}: rename the file"
        )
    return module


def _explain(name: str, module_name: str, error: BaseException) -> NoReturn:
    """Raise the message for an error of an import, with the line of your own code in which it arose."""
    top = module_name.partition(".")[0]
    if (
        isinstance(error, ModuleNotFoundError)
        and error.name is not None
        and f"{module_name}.".startswith(f"{error.name}.")
    ):
        file = f"; give a file as {top}.py" if Path(f"{top}.py").is_file() else ""
        raise ConfigError(
            f"--{KEY} {name}: no module is called {error.name!r}, in {Path.cwd()} or installed: check the name{file}"
        ) from error
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f", {Path(error.filename).name}:{error.lineno}"
    elif len(frames) > 1:  # the first is the call above
        where = f", {Path(frames[-1].filename).name}:{frames[-1].lineno}"
    said = " ".join(str(error).split())[:300]
    raise ConfigError(
        f"--{KEY} {name} cannot be imported ({type(error).__name__}: {said}{where}): correct it"
    ) from error


def _is_of(cls: type, module: ModuleType) -> bool:
    return f"{cls.__module__}.".startswith(f"{module.__name__}.")
