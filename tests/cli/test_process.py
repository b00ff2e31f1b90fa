"""The command in its own process: signals, streams, TensorFlow's log lines, completion."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

MODEL = ["--preprocess", "-1..1"]


def test_stdout_has_the_result_and_stderr_is_empty(cli_process, photo, model_file):
    """TensorFlow writes to file descriptor 2 when it starts; these lines are removed."""
    done = cli_process(photo("cat.png"), "--model", model_file, *MODEL)
    assert done.status == 0
    assert done.stdout.decode().splitlines()[0].endswith("-> cat_gradcam.png")
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.slow
def test_verbose_prints_the_log_of_tensorflow(cli_process, photo, model_file):
    done = cli_process(photo("cat.png"), "--model", model_file, *MODEL, "-v")
    assert ".cc:" in done.stderr
    assert "layer conv2" in done.stderr


@pytest.mark.slow
def test_image_from_a_pipe_is_explained(cli_process, photo, model_file):
    done = cli_process("-", "-o", "-", "--model", model_file, *MODEL, stdin=photo().read_bytes())
    assert (done.status, done.stderr) == (0, "")
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert image.format == "PNG"


NOISY = """
import os, sys
from gradcam_cli.cli.native_stderr import filtered_native_stderr
with filtered_native_stderr():
    os.write(2, b"I0000 00:00:1795205836.660303    2734 port.cc:153] oneDNN\\n")
    os.write(2, b"E0000 00:00:1795205839.088280    2734 cuda_platform.cc:52] failed call to cuInit\\n")
    os.write(2, b"2026-11-20 21:49:43.742412: E external/xla/cuda_platform.cc:51] failed call to cuInit\\n")
    os.write(2, b"2026-11-20 21:49:43.742412: I tensorflow/core/util/port.cc:153] oneDNN\\n")
    os.write(2, b"2026-11-20 21:49:43.742412: E tensorflow/core/ops.cc:51] out of memory\\n")
    os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
    os.write(2, b"F0000 00:00:1795205839.088280    2734 tensor.cc:52] Check failed: dtype\\n")
    print("mine", file=sys.stderr)
    {end}
print("after", file=sys.stderr)
"""


@pytest.mark.parametrize(("end", "after"), [("pass", True), ("os.abort()", False), ("os.kill(os.getpid(), 9)", False)])
def test_errors_of_native_code_are_printed(end, after):
    """Information is removed; a failed check is printed, even if it ends the process."""
    done = subprocess.run([sys.executable, "-c", NOISY.format(end=end)], capture_output=True, text=True, timeout=60)
    lines = set(done.stderr.splitlines())
    expected = {
        "F0000 00:00:1795205839.088280    2734 tensor.cc:52] Check failed: dtype",
        "2026-11-20 21:49:43.742412: E tensorflow/core/ops.cc:51] out of memory",
        "mine",
    }
    assert {line for line in lines if not line.startswith("Fatal Python error")} == expected | (
        {"after"} if after else set()
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_leaves_complete_files(photo, model_file, tmp_path, number, status):
    """A signal during a run: exit status, counts and how to resume; complete files, no traceback."""
    paths = [photo(size=(300, 300))] * 400
    command = [sys.executable, "-m", "gradcam_cli", *map(str, paths), "--model", str(model_file), *MODEL, "-o", "out"]
    started = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        started.stdout.readline()  # the first result
        started.send_signal(number)
        _, stderr = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == status
    assert "Traceback" not in stderr
    assert "interrupted after " in stderr
    assert "--skip-existing" in stderr
    written = list((tmp_path / "out").iterdir())
    assert 0 < len(written) < 400
    assert not [path for path in written if path.suffix == ".part"]
    for path in written[-3:]:
        Image.open(path).load()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_swallowed_by_a_library_ends_the_run(number, status):
    """A signal whose exception a library swallows still ends the run."""
    script = f"""
import os
from gradcam_cli.cli.signals import install_signal_handlers, raise_if_interrupted
install_signal_handlers()
raise_if_interrupted()
try:
    os.kill(os.getpid(), {int(number)})
except BaseException:
    pass
raise_if_interrupted()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode in (status, -number)


@pytest.mark.slow
def test_closed_stdout_pipe_ends_the_run_without_traceback(photo, model_file, tmp_path):
    """If the reader closes the pipe, the run ends without a traceback."""
    paths = [photo()] * 60
    command = [sys.executable, "-m", "gradcam_cli", *map(str, paths), "--model", str(model_file), *MODEL, "--json"]
    started = subprocess.Popen(
        [*command, "--batch-size", "1"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    started.stdout.readline()
    started.stdout.close()
    stderr = started.stderr.read()
    started.stderr.close()
    assert started.wait(timeout=60) != 0
    assert b"Traceback" not in stderr
    assert b"Exception" not in stderr


@pytest.mark.slow
def test_unreachable_mirror_is_a_weights_error(cli_process, photo):
    """Status 3; the message contains the model and the file name."""
    done = cli_process(photo(), environment={"GRADCAM_WEIGHTS_MIRROR": "http://127.0.0.1:9"})
    assert done.status == 3
    assert done.stdout == b""
    assert "error: cannot download the weights of vgg19" in done.stderr
    assert "vgg19_weights_tf_dim_ordering_tf_kernels.h5" in done.stderr


STARTED_AS_GRADCAM = "import sys; sys.argv[0] = 'gradcam'; from gradcam_cli.__main__ import main; main()"


def complete(line, script=STARTED_AS_GRADCAM):
    """Return the completions that bash requests for a line."""
    environment = {
        **os.environ,
        "_GRADCAM_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    return [entry.split(",", 1)[-1] for entry in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gradcam la", "layers"),
        ("gradcam --lay", "--layer"),
        ("gradcam cat.jpg --fi", "--fit"),
        ("gradcam cat.jpg --fit cr", "crop"),
        ("gradcam cat.jpg --model vgg", "vgg19"),
        ("gradcam layers efficientnetv2", "efficientnetv2b0"),
        ("gradcam cat.jpg --method ", "gradcam"),
        ("gradcam cat.jpg --save hea", "heatmap"),
        ("gradcam cat.jpg --preprocess 0.", "0..1"),
    ],
)
def test_completion_suggests_commands_options_and_values(line, expected):
    assert expected in complete(line)


def test_completion_does_not_import_tensorflow(tmp_path):
    """Completion works with a TensorFlow that cannot be imported."""
    Path(tmp_path / "tensorflow.py").write_text("raise SystemError('imported')")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {STARTED_AS_GRADCAM}"
    assert "--model" in complete("gradcam --mod", script)


def test_the_list_of_models_does_not_import_tensorflow():
    """Neither Keras, nor the HDF5 library: the catalog is a file of the package, and weights are searched by name."""
    script = (
        "import sys\nfrom gradcam_cli.cli import gradcam\n"
        "try:\n    gradcam.main(['models', '--json'], prog_name='gradcam')\n"
        "finally:\n    found = {'tensorflow', 'keras', 'h5py', 'scipy'} & set(sys.modules)\n"
        "    print(*found, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert '"name": "vgg19"' in done.stdout
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_completion_script(shell):
    environment = {**os.environ, "_GRADCAM_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, "-c", STARTED_AS_GRADCAM], env=environment, capture_output=True, text=True)
    assert "_GRADCAM_COMPLETE" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("terminal", "drawn"), [("xterm", True), ("dumb", False)])
def test_progress_is_drawn_on_a_terminal_only(photo, model_file, tmp_path, terminal, drawn):
    """The progress bar goes to stderr if that is a terminal; stdout has the results only."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "gradcam_cli", *[str(photo())] * 3, "--model", str(model_file), *MODEL]
    environment = {**os.environ, "TERM": terminal}
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True
    ) as started:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        lines = started.stdout.read().splitlines()
    os.close(ours)
    assert len(lines) == 3
    assert all(line.startswith(str(tmp_path)) for line in lines)
    assert (b"explaining" in shown, b"loading" in shown) == (drawn, drawn)


def _read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""


LEAVING = """
import atexit, sys, threading
class Deleted:
    def __del__(self):
        print("deleted")
sys.kept = Deleted()
atexit.register(lambda: sys.__stdout__.write("replaced stream\\n"))
atexit.register(lambda: print("atexit function", flush=False))
threading.Thread(target=lambda: threading.main_thread().join() or print("thread")).start()
sys.argv = ["gradcam", {arguments}]
from gradcam_cli.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "status"), [('"models"', 0), ('"layers", "none.keras"', 3), ('"--no-option"', 2)]
)
def test_the_process_ends_without_deleting_its_objects(arguments, status):
    """Threads are waited for, functions of atexit are called, and everything is written."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", LEAVING.format(arguments=arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=buffered)
    assert done.returncode == status
    lines = done.stdout.splitlines()
    assert ("thread" in lines, lines[-1], "deleted" in lines) == (True, "atexit function", False)
    assert "replaced stream" in lines
    assert bool(done.stderr) == bool(status)
