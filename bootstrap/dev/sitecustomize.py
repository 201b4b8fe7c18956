"""Runs first in every Python of a swapped unit, by way of PYTHONPATH.

| variable | meaning |
|---|---|
| AIO_DEV_ROOTS | directories, separated by `:`, whose bytecode goes elsewhere: they are read-only |
| AIO_DEV_PYC | the directory where it goes |
| AIO_DEV_LOADED | the file in which stands which files below those directories were loaded |
| AIO_DEV_DEBUG | `ADDRESS:PORT` on which debugpy listens |
| AIO_DEV_DEBUG_AT | modules, separated by `,`: it starts right before the first of them is run |
| AIO_DEV_DEBUG_WAIT | `1`: the process waits there until a debugger is attached |

Below a supervisor that forks its workers (uwsgi, cotyledon), the worker listens. With eventlet, the
module must be one that is imported after `monkey_patch()`: debugpy does not survive that.

Nothing here may keep the service from running: what fails is told on standard error.
"""

import contextlib
import functools
import gc
import importlib._bootstrap_external
import importlib.machinery
import importlib.util
import os
import sys


def say(text):
    """One line for the service's journal."""
    try:
        print(f"aio: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        # No standard error: nobody to tell.
        pass


class Loaded:
    """Writes down what is imported, for whoever saves a file that nobody has."""

    def __init__(self, file):
        self.file = file
        self.seen = set()
        # Not those that eventlet puts in their place. Nothing stays open: a service may close what it
        # does not know, and get another file by the same number.
        self.open, self.write, self.close = os.open, os.write, os.close
        # The service's first process begins anew, with a file of its own: one that ran before it may
        # have been another user's.
        if file and os.getppid() == 1:
            with contextlib.suppress(OSError):
                os.unlink(file)

    def add(self, path):
        """Adds a file, once."""
        if not self.file or path in self.seen:
            return
        self.seen.add(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            file = self.open(self.file, flags, 0o644)
            try:
                self.write(file, os.fsencode(path) + b"\n")
            finally:
                self.close(file)
        except OSError:
            self.file = None


def keep_bytecode(roots, directory, loaded):
    """Bytecode of what is below `roots` is read and written below `directory`.

    Not `sys.pycache_prefix`: that one also ignores the bytecode which packages bring, and the first
    start takes twice as long.
    """
    packaged = importlib._bootstrap_external.cache_from_source

    def cache_from_source(path, debug_override=None, *, optimization=None):
        cached = packaged(path, debug_override, optimization=optimization)
        path = os.fspath(path)
        if not path.startswith(roots):
            return cached
        loaded.add(path)
        own = os.path.join(directory, os.path.dirname(path).lstrip("/"))
        return os.path.join(own, os.path.basename(cached))

    importlib._bootstrap_external.cache_from_source = cache_from_source
    importlib.util.cache_from_source = cache_from_source


def run_packaged_sitecustomize():
    """The distribution's own one, which this one hides."""
    here = os.path.realpath(os.path.dirname(__file__))
    path = [entry for entry in sys.path if os.path.realpath(entry or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


class StartAtImport:
    """Finds nothing, but is asked for every module before it is run."""

    def __init__(self, modules, start):
        self.modules = modules
        self.start = start

    def find_spec(self, name, path=None, target=None):
        """Starts the debugger at the first of the modules."""
        if name in self.modules and self in sys.meta_path:
            sys.meta_path.remove(self)
            start_where_served(self.start)
        return None


def start_where_served(start):
    """Calls `start` in the process that serves: this one, or the one that it forks for that."""
    if not only_supervises():
        start()
        return
    # Here, since its own hook brings its locks to order and must come before ours.
    import threading

    parent = os.getpid()

    def after_fork():
        if os.getppid() == parent and serves():
            # The fork may come from a daemon thread, which is the main one of the new process.
            # debugpy takes a process of daemon threads alone for one that has ended.
            threading.current_thread()._daemonic = False
            start()

    os.register_at_fork(after_in_child=after_fork)


def only_supervises():
    """Whether this process will leave the work to processes that it forks."""
    uwsgi = embedded_uwsgi()
    if uwsgi is not None:
        return uwsgi.worker_id() == 0
    # oslo.service's threads always run below its supervisor.
    return "cotyledon" in sys.modules


def serves():
    """Whether a process that was just forked is a worker, not some other helper."""
    uwsgi = embedded_uwsgi()
    return uwsgi is None or uwsgi.worker_id() != 0


def embedded_uwsgi():
    """The module by which uwsgi talks to its applications; None elsewhere."""
    if "uwsgi" not in sys.modules and "uwsgi" not in sys.builtin_module_names:
        return None
    import uwsgi

    return uwsgi


def start_debugger(address, wait):
    """Lets debugpy listen in this process."""
    host, _, port = address.rpartition(":")
    # Packages are debugged without Python's option for it; debugpy warns of modules nobody debugs.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    try:
        with unpatched():
            import debugpy

            # uwsgi is not a Python that could start debugpy's second process.
            debugpy.configure(python="/usr/bin/python3", subProcess=False)
            debugpy.listen((host, int(port)))
        say(f"debugpy listens on {address} (process {os.getpid()})")
        if wait:
            say("waiting for a debugger")
            debugpy.wait_for_client()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        say(f"no debugger on {address}, the service runs without ({reason})")


@contextlib.contextmanager
def unpatched():
    """While it lasts, imports get the real threads, locks and sockets that eventlet has replaced.

    With eventlet's, a breakpoint would wait for the hub that it has stopped.
    """
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is None or not patcher.already_patched:
        yield
        return
    names = ("_thread", "threading", "time", "select", "socket", "queue", "os")
    patched = {name: sys.modules[name] for name in names if name in sys.modules}
    before = set(sys.modules)
    real = {name: patcher.original(name) for name in names}
    sys.modules.update(real)
    try:
        yield
    finally:
        # What was imported meanwhile knows the real ones; the service must not get it.
        for name in set(sys.modules) - before:
            if not name.startswith(("debugpy", "pydev", "_pydev", "__original_module_")):
                del sys.modules[name]
        for name in names:
            del sys.modules[name]
        sys.modules.update(patched)


def leave_a_mark():
    """This file stays open, so that the host sees which code the process runs.

    Its environment does not tell: a service that sets its process's title writes over it.
    """
    try:
        os.open(__file__, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        say(f"`aio dev --list` may not know this process ({error})")


def main():
    """Does what the environment asks for."""
    leave_a_mark()
    # Whoever saves a file waits for the start, and a fifth of it went into looking for garbage among
    # what was just imported: heat-engine's 3.1 s of processor time became 2.5 s.
    gc.set_threshold(400_000)
    roots = os.environ.get("AIO_DEV_ROOTS", "")
    directory = os.environ.get("AIO_DEV_PYC")
    if roots and directory:
        roots = tuple(root.rstrip("/") + "/" for root in roots.split(":") if root)
        keep_bytecode(roots, directory, Loaded(os.environ.get("AIO_DEV_LOADED")))
    try:
        run_packaged_sitecustomize()
    except Exception as error:
        say(f"the distribution's sitecustomize failed ({type(error).__name__}: {error})")
    # What this process starts in turn must not listen, too.
    address = os.environ.pop("AIO_DEV_DEBUG", None)
    modules = os.environ.pop("AIO_DEV_DEBUG_AT", "")
    wait = os.environ.pop("AIO_DEV_DEBUG_WAIT", "") == "1"
    if address:
        start = functools.partial(start_debugger, address, wait)
        sys.meta_path.insert(0, StartAtImport(set(modules.split(",")), start))


main()
