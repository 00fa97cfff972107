"""The setup cell, run by a fresh Python in an empty folder, as in Colab and as elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from helpers import setup
from helpers.environment import NOTEBOOKS, ROOT
from helpers.upkeep.publish import setup_cell

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for git is a shell script")

FAKE_PIP = """
import json, os, sys
pins = open(sys.argv[sys.argv.index("-c") + 1]).read()
with open(os.environ["PIP_LOG"], "a") as log:
    log.write(json.dumps({"arguments": sys.argv[1:], "pins": pins.split()}) + "\\n")
sys.exit(int(os.environ.get("PIP_STATUS", "0")))
"""
FAKE_DRIVE = """
import os
def mount(place):
    os.environ["MOUNTED"] = place
"""
# Stands in for torch, which takes a second to import, where only its number of threads matters.
FAKE_TORCH = """
threads = 2
def set_num_threads(number):
    global threads
    threads = number
def __getattr__(name):  # for annotations
    return object
"""
# Leaves what a killed clone leaves: some folders and files.
CUT_OFF_GIT = """#!/bin/sh
for folder; do :; done
mkdir -p $folder/.git $folder/helpers
echo "half = " > $folder/helpers/__init__.py
touch $folder/.git/index.lock
exit 128
"""
LOGGING_GIT = """#!/bin/sh
echo "$@" >> "$GIT_LOG"
exit 128
"""

# Runs the cell as often as asked, then prints what it left behind as JSON on its last line.
RUNNER = """
import json, os, sys
cell, times, missing, colab, then, packages = json.loads(sys.argv[1])
sys.path += packages
if colab:
    import google.colab
from IPython.core.inputtransformer2 import TransformerManager
cell = TransformerManager().transform_cell(cell)
class Shell:  # what stands behind a line with an exclamation mark
    def system(self, command):
        sys.stdout.flush()
        os.system(command.format(**space))
def get_ipython():
    return Shell()
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in missing else found(name, *rest)
def state():
    return {"cwd": os.getcwd(), "path": list(sys.path), "environ": dict(os.environ)}
before = state()
for _ in range(times):
    try:
        space = {"__name__": "__main__", "get_ipython": get_ipython}
        exec(cell, space)
        error = ""
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
after = state() | {"error": error}
if not error:
    import helpers
    after["helpers"] = os.path.realpath(helpers.__file__)
if then:
    exec(then)
    after |= state()
print("\\n" + json.dumps([before, after]))
"""


# Where this environment's packages are. Python's option -S leaves the course out, which is
# installed by a link to its folder.
PACKAGES = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def git(*arguments: str, folder: Path) -> None:
    identity = ["-c", "user.name=course", "-c", "user.email=course@localhost"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> str:
    """The address of a bare repository that holds package and notebooks, in two commits."""
    if not shutil.which("git"):
        pytest.skip("git is not installed, and the setup cell clones with it")
    tree, bare = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("bare") / "course.git"
    git("init", "--quiet", "--initial-branch=main", folder=tree)
    (tree / "README.md").write_text("an older commit\n")
    git("add", "--all", folder=tree)
    git("commit", "--quiet", "--message=one", folder=tree)
    copy_course(tree)
    git("add", "--all", folder=tree)
    git("commit", "--quiet", "--message=two", folder=tree)
    git("clone", "--quiet", "--bare", str(tree), str(bare), folder=tree)
    return bare.as_uri()


def copy_course(folder: Path) -> None:
    unwanted = shutil.ignore_patterns("__pycache__", ".*", "results", "0[2-9]_*")
    for name in ("helpers", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def run(tmp_path):
    """Run the cell in an empty folder.

    Gives that folder, the state before and after, what pip was asked for, and what was printed.
    """
    stubs, empty, log = tmp_path / "stubs", tmp_path / "empty", tmp_path / "pip.log"
    files = {
        "google/__init__.py": "",
        "google/colab/__init__.py": "",
        "google/colab/drive.py": FAKE_DRIVE,
        "torch/__init__.py": FAKE_TORCH,
        "pip/__init__.py": "",
        "pip/__main__.py": FAKE_PIP,
    }
    for name, text in files.items():
        write_program(stubs / name, text)
    empty.mkdir()

    def run_cell(
        cell=None,
        times=1,
        missing=(),
        colab=True,
        then="",
        address="",
        typed="",
        programs=None,
        **more,
    ):
        environment = {name: value for name, value in os.environ.items() if "COURSE_" not in name}
        environment |= {"PYTHONPATH": str(stubs), "PIP_LOG": str(log), **more}
        if address:
            environment["COURSE_REPO"] = address
        if programs:
            environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
        asked = json.dumps([cell or setup_cell(), times, list(missing), colab, then, PACKAGES])
        done = subprocess.run(
            [sys.executable, "-S", "-c", RUNNER, asked],
            cwd=empty,
            env=environment,
            input=typed,
            text=True,
            check=False,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        before, after = json.loads(done.stdout.splitlines()[-1])
        calls = []
        if log.exists():
            calls = [json.loads(line) for line in log.read_text().splitlines()]
        return empty, before, after, calls, done.stdout

    return run_cell


def test_in_colab_it_clones_and_the_package_comes_from_the_clone(run, repository):
    empty, before, after, _, _ = run(times=2, address=repository)
    course = empty / "vision-course"
    assert after["error"] == "" and after["cwd"] == str(empty)
    assert Path(after["helpers"]) == course / "helpers" / "__init__.py"
    assert after["path"] == [str(course), *before["path"]]  # once, although the cell ran twice
    assert [path.name for path in empty.iterdir()] == ["vision-course"]
    depth = subprocess.check_output(["git", "rev-list", "--count", "HEAD"], cwd=course, text=True)
    assert depth.strip() == "1"  # shallow: the repository has two commits


def test_a_second_kernel_takes_the_clone_that_is_there_with_what_was_changed_in_it(run, repository):
    empty, *_ = run(address=repository)
    (empty / "vision-course" / "mine.txt").write_text("kept")
    _, _, after, _, _ = run(address="https://localhost:1/nobody/nothing")
    assert after["error"] == ""
    assert (empty / "vision-course" / "mine.txt").read_text() == "kept"


def test_a_clone_that_was_cut_off_is_fetched_anew(run, repository, tmp_path):
    write_program(tmp_path / "programs" / "git", CUT_OFF_GIT)
    empty, _, after, _, _ = run(address=repository, programs=tmp_path / "programs")
    assert after["error"] and not (empty / "vision-course").exists()
    assert (empty / "part" / "helpers").is_dir()
    _, _, after, _, _ = run(address=repository)
    assert after["error"] == "" and str(empty / "vision-course") in after["helpers"]
    assert [path.name for path in empty.iterdir()] == ["vision-course"]


def test_a_folder_of_that_name_without_the_course_is_not_removed(run, repository):
    empty, *_ = run(address="https://localhost:1/nobody/nothing")
    (empty / "vision-course").mkdir()
    (empty / "vision-course" / "mine.txt").write_text("kept")
    _, _, after, _, _ = run(address=repository)
    assert "helpers" in after["error"]
    assert (empty / "vision-course" / "mine.txt").read_text() == "kept"


def test_after_an_address_that_failed_the_same_kernel_takes_another(run, repository):
    typed = f"file:///nothing/at/all\n{repository}\n"
    empty, before, after, _, _ = run(times=2, typed=typed)
    assert after["path"] == [str(empty / "vision-course"), *before["path"]]
    assert after["error"] == "" and str(empty / "vision-course") in after["helpers"]


def asked_of_git(run, tmp_path, **options) -> list[str]:
    """The words that the cell calls git with, the address among them."""
    log = tmp_path / "git.log"
    write_program(tmp_path / "programs" / "git", LOGGING_GIT)
    run(programs=tmp_path / "programs", GIT_LOG=str(log), **options)
    words = log.read_text().split()
    assert words[:4] == ["clone", "-q", "--depth", "1"] and words[-1] == "part"
    return words[4:-1]


@pytest.mark.parametrize(
    "given, cloned",
    [
        ("Ada-L/vision.course", "https://github.com/Ada-L/vision.course"),
        ("  Ada-L/vision.course \n", "https://github.com/Ada-L/vision.course"),
        (" https://github.com/Ada-L/course.git ", "https://github.com/Ada-L/course.git"),
        ("https://github.com/Ada-L/ course", "https://github.com/Ada-L/course"),
        ("https://git.example.org/course", "https://git.example.org/course"),
        ("git@github.com:Ada-L/course", "git@github.com:Ada-L/course"),
        ("/drive/course.git", "/drive/course.git"),
        ("github.com/Ada-L/course", "https://github.com/Ada-L/course"),
        ("github.com/Ada-L/course.git/", "https://github.com/Ada-L/course.git"),
        ("Ada-L/course/", "https://github.com/Ada-L/course"),
        ("https://github.com/Ada-L/course//", "https://github.com/Ada-L/course"),
        ('"https://github.com/Ada-L/course/"', "https://github.com/Ada-L/course"),
        ("'Ada-L/course' ", "https://github.com/Ada-L/course"),
        (" <https://github.com/Ada-L/course/>\n", "https://github.com/Ada-L/course"),
        ("github-com/course", "https://github.com/github-com/course"),
    ],
)
def test_an_address_is_cleaned_and_an_owner_with_a_name_is_on_github(run, tmp_path, given, cloned):
    assert asked_of_git(run, tmp_path, address=given) == [cloned]


def test_an_address_that_is_typed_is_cleaned_too(run, tmp_path):
    assert asked_of_git(run, tmp_path, typed=" a/b \n") == ["https://github.com/a/b"]


@pytest.mark.parametrize("address", ["https://github.com/a/b", "a/b"])
def test_the_published_address_is_cloned_without_asking(run, tmp_path, address):
    assert asked_of_git(run, tmp_path, cell=setup_cell(address)) == ["https://github.com/a/b"]


def test_the_environment_variable_goes_before_the_published_address(run, tmp_path):
    cell = setup_cell("https://github.com/a/b")
    assert asked_of_git(run, tmp_path, cell=cell, address="c/d") == ["https://github.com/c/d"]


def test_the_cell_asks_for_the_address_until_the_course_is_published(run, repository):
    empty, _, after, _, _ = run(typed=repository + "\n")
    assert str(empty / "vision-course") in after["helpers"]


def test_only_missing_packages_are_installed_and_torch_torchvision_and_numpy_stay(run, repository):
    missing = ["torchsummary", "albumentations"]
    _, _, after, calls, _ = run(missing=missing, address=repository)
    assert len(calls) == 1 and after["error"] == ""
    words = calls[0]["arguments"]
    assert words[:2] == ["install", "--quiet"]
    assert words[-2:] == ["albumentations>=2.0.8,<3", "torchsummary>=1.5.1,<2"]
    assert len(words) == 6 and words[2] == "-c"
    fixed = ("torch", "torchvision", "numpy")
    assert calls[0]["pins"] == [f"{name}=={metadata.version(name)}" for name in fixed]


def test_pip_is_not_called_where_nothing_is_missing(run, repository):
    assert run(address=repository)[3] == []


def test_what_pip_could_not_install_is_told_in_one_line(run, repository):
    _, _, after, _, _ = run(missing=["tqdm"], address=repository, PIP_STATUS="1")
    assert after["error"].startswith("CourseError: pip could not install tqdm>=4.66,<5")
    assert "\n" not in after["error"]


def test_what_it_may_install_is_what_requirements_txt_asks_for():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert set(setup.NEEDED) <= set(lines)
    fixed = {re.match("[a-z]+", line)[0] for line in lines if re.match("[a-z]", line)}
    assert set(setup.FIXED) <= fixed and not set(setup.FIXED) & set(setup.NEEDED)


def test_commands_in_a_colab_cell_find_the_course(run, repository):
    code = "import helpers; print(helpers.__file__)"
    then = f"import subprocess; subprocess.check_call([sys.executable, '-c', {code!r}])"
    empty, _, after, _, printed = run(times=2, address=repository, then=then)
    course = str(empty / "vision-course")
    assert after["environ"]["PYTHONPATH"].split(os.pathsep)[0] == course
    assert after["environ"]["PYTHONPATH"].count("vision-course") == 1
    assert os.path.join(course, "helpers", "__init__.py") in printed.splitlines()


def test_in_colab_it_offers_in_one_line_to_keep_trainings(run, repository):
    *_, printed = run(address=repository)
    [offer] = [line for line in printed.splitlines() if "Drive" in line]
    _, code = offer.split(": ")
    _, _, after, _, printed = run(address=repository, then=code)
    assert after["environ"]["MOUNTED"] == "/content/drive"
    assert after["environ"]["COURSE_RUNS"] == "/content/drive/MyDrive/vision-course-runs"
    assert "Drive" not in run(address=repository, COURSE_RUNS="/mine")[-1].rpartition("\n[")[0]


# Anywhere else.


def run_without_installation(tmp_path: Path, working: str) -> dict:
    """Run the cell on a host that is not Colab, by a Python that has torch but not the course."""
    course = tmp_path / "course"
    copy_course(course)
    code = (
        f"import json, os, sys; sys.path += {PACKAGES!r}\n"
        "before = [list(sys.path), dict(os.environ)]\n"
        "from IPython.core.inputtransformer2 import TransformerManager\n"
        f"exec(TransformerManager().transform_cell({setup_cell()!r}))\n"
        "import helpers.models\n"
        "after = [list(sys.path), dict(os.environ)]\n"
        "print(json.dumps([before, after, helpers.models.__file__]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=course / working,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    before, after, models = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1  # it says nothing
    assert Path(models).resolve() == course / "helpers" / "models" / "__init__.py"
    assert after == [[str(course), *before[0]], before[1]]


def test_a_notebook_alone_shows_what_to_do_beside_its_error(tmp_path):
    notebook = new_notebook(cells=[new_code_cell(setup_cell())])
    # In a kernel that does not find the course, which is installed here.
    hide = "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]"
    notebook.cells.insert(0, new_code_cell(hide))
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with pytest.raises(CellExecutionError) as failed:
        client.execute(env=variables)
    said = re.sub(r"\x1b\[[\d;]*m", "", str(failed.value))
    assert "No module named 'helpers'" in said and "No helpers here?" in said
    assert "Clone the course, or delete vision-course" in said


@pytest.mark.parametrize("working", ["notebooks", "."])
def test_elsewhere_it_only_puts_the_course_beside_the_notebook_on_the_path(tmp_path, working):
    run_without_installation(tmp_path, working)


def test_where_the_course_is_installed_it_changes_nothing(run, tmp_path):
    missing, installed = (
        ("tqdm", "albumentations"),
        {"PYTHONPATH": f"{tmp_path / 'stubs'}{os.pathsep}{ROOT}"},
    )
    empty, before, after, calls, _ = run(times=2, colab=False, missing=missing, **installed)
    assert after["helpers"] == str(ROOT / "helpers" / "__init__.py")
    assert after["path"] == before["path"] and after["environ"] == before["environ"]
    assert calls == [] and list(empty.iterdir()) == []


def test_in_the_fast_profile_a_kernel_calculates_on_one_thread(tmp_path, run):
    then = "import torch; print(torch.threads, 'threads')"
    installed = {"PYTHONPATH": f"{tmp_path / 'stubs'}{os.pathsep}{ROOT}"}
    assert "1 threads" in run(colab=False, then=then, COURSE_SMOKE="1", **installed)[-1]
    assert "2 threads" in run(colab=False, then=then, **installed)[-1]


def test_the_cell_is_short_folded_and_the_same_in_every_notebook():
    lines = setup_cell().splitlines()
    assert len(lines) <= 8 and max(map(len, lines)) <= 88
    for path in NOTEBOOKS.glob("*.ipynb"):
        first = next(c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
        assert first.metadata == {
            "cellView": "form",
            "jupyter": {"source_hidden": True},
            "slideshow": {"slide_type": "skip"},
            "tags": ["setup"],
        }
        address = re.compile(r'(COURSE_REPO"\) or).*')
        assert address.sub("", first.source) == address.sub("", setup_cell())
