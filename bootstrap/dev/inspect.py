"""Looks at the packaged Python of a container on behalf of a checkout.

Runs as `python3 -I -` with this text and one last line, `main("REQUEST")`, on standard input (the
request is JSON in base64) and prints one JSON document. Nothing is imported from the checkout,
and nothing is written. Request and answer are described in `src/dev/python/inspect.rs`.
"""

import ast
import base64
import email
import functools
import importlib.metadata
import json
import os
import platform
import sys
import warnings


def main(request):
    """Answers one request."""
    request = json.loads(base64.b64decode(request))
    try:
        answer = {"inspection": inspect(request)}
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "packaging":
            raise
        answer = {
            "error": "the container has no Python module `packaging`, by which requirements are "
            "compared: install python3-packaging in it"
        }
    json.dump(answer, sys.stdout)
    print()


def inspect(request):
    """The whole answer."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.tags import platform_tags

    unsupported = []
    version = platform.python_version()
    for project in request["projects"]:
        wanted = project["requires_python"]
        try:
            if wanted and not SpecifierSet(wanted).contains(version, prereleases=True):
                unsupported.append({"project": project["name"], "requires_python": wanted})
        except InvalidSpecifier:
            # A project that says it in a wrong way says nothing.
            pass
    needs = Needs(request)
    needs.follow()
    return {
        "python": version,
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "platforms": list(platform_tags()),
        "installed": {name: found.version for name, found in sorted(needs.packaged.items())},
        "used": needs.used(request["users"]),
        "missing": needs.missing,
        "unsatisfied_by_checkouts": needs.unsatisfied,
        "unreadable_requirements": needs.unreadable,
        "unsupported_python": unsupported,
        "syntax_errors": syntax_errors(request["sources"]),
        "migrations": migrations(request["migrations"]),
    }


class Distribution:
    """A distribution that counts as installed."""

    def __init__(self, version, requires, followed):
        self.version = version
        # A function: few of the packaged ones are ever asked, and each answer is read from a file.
        self.requires = requires
        # Whether its own requirements are looked at, besides those of its wanted extras. Packages
        # are known to fit together; what is added to them is not.
        self.followed = followed


class Needs:
    """Compares requirements, and what they lead to, with what is there."""

    def __init__(self, request):
        from packaging.utils import canonicalize_name

        self.canonical = canonicalize_name
        self.met = {canonicalize_name(name) for name in request["met_by_packages"]}
        self.packaged = self._packaged()
        self.delta = {}
        for metadata in request["delta"]:
            message = email.message_from_string(metadata)
            found = Distribution(message["Version"], requirements_of(message), followed=True)
            self.delta[canonicalize_name(message["Name"])] = found
        self.checkouts = {
            canonicalize_name(project["name"]): project for project in request["projects"]
        }
        self.projects = request["projects"]
        self.wanted = request["wanted"]
        self.missing, self.unsatisfied, self.unreadable = [], [], []
        self.seen = set()
        self.queue = []

    def _packaged(self):
        packaged = {}
        for found in importlib.metadata.distributions():
            metadata = found.metadata
            name, version = metadata.get("Name"), metadata.get("Version")
            # The first one on the path is the one that is imported. A broken one has no name.
            if name and version and self.canonical(name) not in packaged:
                requires = functools.partial(getattr, found, "requires")
                packaged[self.canonical(name)] = Distribution(version, requires, followed=False)
        return packaged

    def follow(self):
        """Fills `missing`, in the order in which things are found missing."""
        for text in self.wanted:
            self.queue.append((text, "aio", [""]))
        for project in self.projects:
            self._queue_project(project, project["wanted_extras"])
        for name, found in self.delta.items():
            self._queue_all(found.requires() or [], name, [""])
        while self.queue:
            self._visit(*self.queue.pop(0))

    def _queue_project(self, project, extras):
        self._queue_all(project["requirements"], project["name"], [""])
        for extra in extras:
            own = {self.canonical(name): texts for name, texts in project["extras"].items()}
            self._queue_all(own.get(self.canonical(extra), []), project["name"], [extra])

    def _queue_all(self, texts, required_by, extras):
        self.queue.extend((text, required_by, extras) for text in texts)

    def _visit(self, text, required_by, extras):
        from packaging.requirements import InvalidRequirement, Requirement

        # `#` also stands in addresses, where no space is before it.
        text = (" " + text).partition(" #")[0].strip()
        if not text:
            return
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            self.unreadable.append({"text": text, "required_by": required_by, "reason": reason})
            return
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras
        ):
            return
        requirement.marker = None
        key = (self.canonical(requirement.name), str(requirement))
        if key not in self.seen:
            self.seen.add(key)
            self._compare(requirement, required_by)

    def _compare(self, requirement, required_by):
        name = self.canonical(requirement.name)
        checkout = self.checkouts.get(name)
        if checkout is not None:
            version = checkout["version"]
            if version and not contains(requirement.specifier, version):
                self._note(self.unsatisfied, requirement, required_by, version)
            self._queue_project(checkout, sorted(requirement.extras))
            return
        found = self.delta.get(name) or self.packaged.get(name)
        if found is None:
            if name not in self.met:
                self._note(self.missing, requirement, required_by, None)
            return
        if not contains(requirement.specifier, found.version):
            self._note(self.missing, requirement, required_by, found.version)
            return
        if requirement.extras:
            extras = sorted(requirement.extras)
            # Before the others, so that what lacks is told from the top down.
            for text in reversed(found.requires() or []):
                if "extra" in text.partition(";")[2]:
                    self.queue.insert(0, (text, f"{name}[{','.join(extras)}]", extras))
        if found.followed:
            self._queue_all(found.requires(), name, [""])

    def used(self, users):
        """The checkouts that packaged distributions need, by whatever way."""
        from packaging.requirements import InvalidRequirement, Requirement

        needed, queue = set(), [self.canonical(name) for name in users]
        while queue:
            name = queue.pop()
            if name in needed:
                continue
            needed.add(name)
            found = self.packaged.get(name)
            for text in (found.requires() or []) if found else []:
                try:
                    requirement = Requirement(text)
                except InvalidRequirement:
                    continue
                if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
                    queue.append(self.canonical(requirement.name))
        return sorted(needed.intersection(self.checkouts))

    @staticmethod
    def _note(list_, requirement, required_by, found):
        list_.append(
            {"requirement": str(requirement), "required_by": required_by, "found": found}
        )


def requirements_of(message):
    """What a METADATA file requires, as a function."""
    return lambda: message.get_all("Requires-Dist", [])


def contains(specifier, version):
    """Whether a version is one of those; one that cannot be compared is taken to be."""
    from packaging.version import InvalidVersion

    try:
        return specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return True


def syntax_errors(sources):
    """Compiles each text; nothing of it runs."""
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, text in sorted(sources.items()):
            try:
                compile(text, path, "exec", dont_inherit=True)
            except SyntaxError as error:
                line = (error.text or "").strip()
                errors.append(problem(path, error.lineno, line, error.msg))
            except (ValueError, RecursionError, MemoryError, OverflowError) as error:
                errors.append(problem(path, None, "", str(error) or type(error).__name__))
    return errors


def problem(path, line, text, reason):
    """A place in a file, and what is wrong there."""
    return {"path": path, "line": line, "text": text, "reason": reason}


def migrations(request):
    """The revisions of each directory, packaged and in the checkout."""
    return [compare_migrations(directory, request["files"]) for directory in request["directories"]]


def compare_migrations(directory, files):
    packaged, unreadable = {}, []
    for path, text in packaged_files(directory):
        add_revision(packaged, unreadable, path, text)
    ours = {}
    prefix = directory.rstrip("/") + "/"
    for path, text in sorted(files.items()):
        if path.startswith(prefix) and path.endswith(".py"):
            add_revision(ours, unreadable, path, text)
    return {
        "directory": directory,
        "packaged_heads": heads(packaged),
        "checkout_heads": heads(ours),
        "added": in_order({name: ours[name] for name in ours if name not in packaged}),
        "removed": in_order({name: packaged[name] for name in packaged if name not in ours}),
        "unreadable": unreadable,
    }


def packaged_files(directory):
    """The Python files below a directory that some entry of the path has."""
    for entry in sys.path:
        root = os.path.join(entry, directory)
        if os.path.isdir(root):
            for place, directories, names in os.walk(root):
                directories.sort()
                for name in sorted(names):
                    if name.endswith(".py"):
                        path = os.path.join(place, name)
                        with open(path, encoding="utf-8", errors="replace") as file:
                            yield os.path.relpath(path, entry), file.read()
            return


def add_revision(revisions, unreadable, path, text):
    """Reads the revision of one file, if it is one, without running it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, path)
    except (SyntaxError, ValueError) as error:
        unreadable.append(problem(path, getattr(error, "lineno", None), "", str(error)))
        return
    values = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and target.id in ("revision", "down_revision"):
                try:
                    values[target.id] = ast.literal_eval(node.value)
                except ValueError:
                    reason = f"`{target.id}` is not a literal"
                    unreadable.append(problem(path, node.lineno, "", reason))
    revision = values.get("revision")
    if isinstance(revision, str):
        down = values.get("down_revision") or ()
        down = [down] if isinstance(down, str) else [name for name in down if name]
        revisions[revision] = {"revision": revision, "down": down, "path": path}


def heads(revisions):
    """Revisions on which no other builds: one for each branch."""
    below = {name for revision in revisions.values() for name in revision["down"]}
    return sorted(set(revisions) - below)


def in_order(revisions):
    """Each revision after those on which it builds."""
    ordered, left = [], dict(sorted(revisions.items()))
    while left:
        ready = [name for name in left if not any(down in left for down in left[name]["down"])]
        for name in ready or list(left):
            ordered.append(left.pop(name))
    return ordered
